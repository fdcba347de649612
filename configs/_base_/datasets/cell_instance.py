# Cells in the prepared layout (data_prep/prepare.py), at their original size.
dataset_type = "CellDataset"
data_root = "data/cell/"
mpp = None  # µm per pixel that the network sees; None: images stay as they are
metainfo = dict(classes=("epithelial", "lymphocyte", "neutrophil", "macrophage"))

# How every training pipeline begins; the recipes hold the rest.
load_cells = [dict(type="LoadImageFromFile"), dict(type="LoadCellLabels")]
# scale_factor=1 keeps the original size; scale=(1333, 800) fits images into that box instead.
keep_size = dict(type="Resize", scale_factor=1.0, keep_ratio=True)
test_pipeline = [
    dict(type="LoadImageFromFile"),
    keep_size,
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]

train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=False,  # so that an epoch does not depend on the one before
    worker_init_fn=dict(type="seed_worker"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file="annotations/train.json",
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file="annotations/val.json",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file="annotations/test.json",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(
    type="CellCocoMetric", ann_file=data_root + "annotations/val.json", classwise=True
)
test_evaluator = dict(
    type="CellCocoMetric", ann_file=data_root + "annotations/test.json", classwise=True
)
