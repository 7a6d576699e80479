"""What is proved about: the Dirac GAN, f-divergences, generators, push-forwards, the simplex."""
