"""Cell instance segmentation and classification in H&E images with MMDetection.

Importing the package is free of side effects. A config imports the modules that register
something (``custom_imports`` in ``configs/_base_/default_runtime.py``).
"""

__version__ = "0.1.0"
