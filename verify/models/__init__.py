"""The models that claims are about: the Dirac-GAN, f-divergences, generators, push-forwards, the simplex."""
