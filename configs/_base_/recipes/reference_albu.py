# The reference's Albumentations transforms, as a variable.

# Verbatim, but for its last two steps, which run elsewhere with the same result: Normalize(mean=0,
# std=1, max_pixel_value=255) is a part of the data preprocessor, ToTensorV2 of PackDetInputs.
albu_transforms = [
    dict(type="HorizontalFlip", p=0.5),
    dict(type="VerticalFlip", p=0.5),
    dict(
        type="OneOf",
        transforms=[
            dict(type="RandomBrightnessContrast", brightness_limit=0.2, contrast_limit=0.2),
            dict(type="CLAHE"),
            dict(type="RandomGamma"),
        ],
        p=0.7,
    ),
    dict(
        type="OneOf",
        transforms=[
            dict(type="GaussianBlur", blur_limit=(3, 5)),
            dict(type="MedianBlur", blur_limit=5),
        ],
        p=0.3,
    ),
    dict(
        type="OneOf",
        transforms=[
            dict(type="ElasticTransform", alpha=120, sigma=6),
            dict(type="GridDistortion"),
            # A limit of 2 is extreme: it is kept because this config reproduces the reference.
            dict(type="OpticalDistortion", distort_limit=2),
        ],
        p=0.5,
    ),
]
