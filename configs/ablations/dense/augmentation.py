# Jitter of the stains, now and then a mild elastic deformation, and all flips and right-angle
# rotations instead of one flip.
_base_ = ["report.py"]

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadCellLabels"),
    dict(type="HEDJitter", scale=0.2, shift=0.02, prob=0.5),
    dict(
        type="AlbuLabelMaps",
        transforms=[
            dict(type="RandomCrop", height=256, width=256, pad_if_needed=True),
            dict(type="D4", p=1.0),
            dict(type="ElasticTransform", alpha=120, sigma=10, fill=(124, 116, 104), p=0.2),
        ],
        min_area=8,
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
