"""Networks that are defined elsewhere: by timm, by torchvision, or in a file of the user's own."""
