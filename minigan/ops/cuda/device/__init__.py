"""The device: compiling, launching, memory, matrix products; a GPU or the emulator."""
