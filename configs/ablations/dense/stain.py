# Jitter of the stains, and now and then a mild elastic deformation.
_base_ = ["report.py"]

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCellLabels"),
    dict(type="HEDJitter", scale=0.2, shift=0.02, prob=0.5),
    dict(
        type="AlbuLabelMaps",
        transforms=[
            dict(type="RandomCrop", height=256, width=256, pad_if_needed=True),
            dict(type="HorizontalFlip", p=0.5),
            dict(type="ElasticTransform", alpha=120, sigma=10, fill=(124, 116, 104), p=0.2),
        ],
        min_area=8,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
