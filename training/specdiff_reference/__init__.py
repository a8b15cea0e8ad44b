"""Plain PyTorch models and samplers that the converters and the native code are checked against."""
