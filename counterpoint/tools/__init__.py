"""What trains no encoder but belongs here: decoding by contrast, exploration with learned features."""
