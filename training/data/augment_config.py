"""Every augmentation's range: the only home of these defaults."""

from __future__ import annotations

from pydantic import Field, model_validator

from orpose_models.settings import Settings

Range = tuple[float, float]
#: Ranges (smallest, largest), and what the smallest may be.
_LEAST = {
    "zoom": 0.05,
    "exposure_stops": -8,
    "contrast": 0,
    "saturation": 0,
    "gamma": 0.05,
    "blur_sigma": 0,
    "motion_length": 0,
    "noise_sd": 0,
    "jpeg_quality": 1,
    "cutout_count": 0,
    "cutout_size": 0,
    "cut_occlude_half_px": 1,
}
#: More than the 12 that people are found at, so that 12 is not the hardest of what is trained on.
_MOST_DOWNSAMPLED = 16


class ScaleChoice(Settings):
    """One way to draw the privacy downsampling factor S (of a frame of 480 lines)."""

    probability: float = Field(ge=0, le=1, description="how often this way is taken; all ways sum to 1")
    low: float = Field(ge=1, le=_MOST_DOWNSAMPLED, description="smallest factor")
    high: float = Field(ge=1, le=_MOST_DOWNSAMPLED, description="largest factor, drawn uniformly between the two")

    @model_validator(mode="after")
    def _rises(self) -> ScaleChoice:
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low:g} and {self.high:g}")
        return self


#: ORPose_all (Srivastav 2020): 30 % no downsampling, 35 % U(2, 8), 35 % U(8, 12).
ORPOSE_ALL = (
    ScaleChoice(probability=0.30, low=1, high=1),
    ScaleChoice(probability=0.35, low=2, high=8),
    ScaleChoice(probability=0.35, low=8, high=12),
)


class AugmentConfig(Settings):
    """Geometry, colour, sensor and privacy augmentations of a training image, in the order they are applied."""

    flip_probability: float = Field(0.5, ge=0, le=1, description="mirror the image, swap left and right joints")
    zoom: Range = Field((0.75, 1.6), description="scale about a random point, drawn log-uniformly; 1 shows all")
    towards_people: float = Field(
        0.0, ge=0, le=1, description="how often the view is moved towards a person; else anywhere"
    )
    translate: float = Field(0.1, ge=0, le=0.5, description="shift, up to this share of the image's size")
    stretch: float = Field(0.08, ge=0, le=0.5, description="change of the aspect ratio, up to this share")
    rotation_deg: float = Field(8.0, ge=0, le=45, description="rotation, up to this angle either way")
    rotation_sigma_deg: float = Field(
        0.0, ge=0, le=60, description="standard deviation of a further rotation, cut at twice that"
    )
    min_visible_share: float = Field(
        0.15, ge=0, le=1, description="a box cut to less than this becomes an ignored region"
    )
    min_box_px: float = Field(
        6.0, ge=0, description="a box with a shorter side becomes an ignored region (480-line px)"
    )

    blank_probability: float = Field(
        0.0, ge=0, le=1, description="one dark, grey or bright frame without people instead of the image"
    )
    anonymise_probability: float = Field(
        0.0, ge=0, le=1, description="heads blurred or pixelated, as in recordings made anonymous"
    )

    exposure_stops: Range = Field((-0.9, 0.7), description="brightness, in powers of two")
    contrast: Range = Field((0.65, 1.5), description="contrast about the image's mean")
    white_balance: float = Field(0.12, ge=0, description="standard deviation of each channel's log gain")
    saturation: Range = Field((0.2, 1.6), description="0 is grey, 1 unchanged")
    channel_mix: float = Field(0.06, ge=0, description="standard deviation of the off-diagonal colour matrix")
    gamma: Range = Field((0.6, 1.7), description="tone curve exponent, drawn log-uniformly")
    shading: float = Field(0.35, ge=0, le=0.9, description="uneven light: largest relative change over the image")
    blur_probability: float = Field(0.25, ge=0, le=1, description="Gaussian blur")
    blur_sigma: Range = Field((0.3, 1.4), description="px of the network's input")
    motion_probability: float = Field(0.1, ge=0, le=1, description="motion blur in a random direction")
    motion_length: Range = Field((3.0, 9.0), description="px of the network's input")
    noise_probability: float = Field(0.6, ge=0, le=1, description="sensor noise, coloured and grey")
    noise_sd: Range = Field((1.0, 12.0), description="grey levels of 255")
    jpeg_probability: float = Field(0.25, ge=0, le=1, description="JPEG compression")
    jpeg_quality: Range = Field((30.0, 90.0), description="JPEG quality")

    cutout_probability: float = Field(0.4, ge=0, le=1, description="paste random rectangles over the image")
    cutout_count: tuple[int, int] = Field((1, 4), description="how many rectangles")
    cutout_size: Range = Field((0.05, 0.3), description="a rectangle's sides, as a share of the image's")
    cutout_hidden_share: float = Field(0.85, ge=0, le=1, description="a person covered more becomes an ignored region")

    cut_occlude_joints: int = Field(
        0, ge=0, le=17, description="Cut-Occlude: joints of each person pasted over, labels stay; 0: none, SSPCM: 2"
    )
    cut_occlude_jitter_px: float = Field(
        10.0, ge=0, description="standard deviation of the patch's place, px of a 192x256 crop of the person"
    )
    cut_occlude_half_px: tuple[int, int] = Field(
        (10, 19), description="smallest and largest half side of the patch, px of such a crop"
    )

    downsample: tuple[ScaleChoice, ...] = Field(ORPOSE_ALL, description="privacy downsampling factors seen in training")

    @model_validator(mode="after")
    def _probabilities_sum_to_one(self) -> AugmentConfig:
        total = sum(choice.probability for choice in self.downsample)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"downsample: the probabilities sum to {total:g}, expected 1")
        return self

    @model_validator(mode="after")
    def _ranges_rise(self) -> AugmentConfig:
        for name, value in self:
            if name in _LEAST and not _LEAST[name] <= value[0] <= value[1]:
                expected = f"expected {_LEAST[name]:g} <= smallest <= largest"
                raise ValueError(f"{name}: {expected}, got {list(value)}")
        if self.cutout_size[1] >= 1:
            raise ValueError(f"cutout_size: expected less than 1, got {list(self.cutout_size)}")
        return self


#: No change but letterboxing; for validation.
NO_AUGMENTATION = AugmentConfig(
    flip_probability=0,
    zoom=(1, 1),
    translate=0,
    stretch=0,
    rotation_deg=0,
    min_box_px=0,
    exposure_stops=(0, 0),
    contrast=(1, 1),
    white_balance=0,
    saturation=(1, 1),
    channel_mix=0,
    gamma=(1, 1),
    shading=0,
    blur_probability=0,
    motion_probability=0,
    noise_probability=0,
    jpeg_probability=0,
    cutout_probability=0,
    downsample=(ScaleChoice(probability=1, low=1, high=1),),
)
