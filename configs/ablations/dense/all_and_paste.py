# The whole recipe, and copy-paste of cells of rare classes, which did not pay.
_base_ = ["../../mask-rcnn_efficientnet-lite0_fpn_dense-cell.py"]

train_pipeline = [
    *_base_.load_cells,
    _base_.cell_crop,
    dict(type="RareCellPaste", max_cells=4),
    *_base_.augment,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
