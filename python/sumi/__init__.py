"""sumi: Stable Diffusion through libsumi, with the surface of diffusers.

    from sumi import StableDiffusionPipeline
    pipe = StableDiffusionPipeline.from_pretrained("CompVis/stable-diffusion-v1-4").to("cpu")
    pipe("a red apple").images[0].save("apple.png")
"""

from .errors import Error
from .generator import Generator
from .image import Image
from .library import version
from .output import StableDiffusionPipelineOutput
from .pipeline import StableDiffusionPipeline
from .scheduler import Scheduler
from .schedulers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSDEScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

__version__ = "0.1.0"

__all__ = [
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSDEScheduler",
    "Error",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "Generator",
    "HeunDiscreteScheduler",
    "Image",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "Scheduler",
    "StableDiffusionPipeline",
    "StableDiffusionPipelineOutput",
    "UniPCMultistepScheduler",
    "version",
]
