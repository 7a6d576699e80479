"""The colours of all figures, each with one meaning.

The first four are of Okabe and Ito (2008) and told apart with every common kind of colour blindness.  A curve about one
kind of examples has that kind's colour: D(x) over real ones that of the data, D(G(z)) that of the generator.
"""

DATA = "#d55e00"
"""The data: p_data, real examples, D(x)."""
GENERATOR = "#0072b2"
"""The generator: p_g, samples, D(G(z)), G's loss."""
D = "#009e73"
"""The discriminator: D as a curve, its loss, its accuracy."""
D_STAR = "black"
"""The optimal discriminator D*, dashed."""
GAP = "#cc79a7"
"""What D lacks against D*."""
REFERENCE = "#666666"
"""Lines to compare with: 1/2, a ceiling."""

SAMPLES_ALPHA = 0.5
"""Of histograms and areas, which overlap."""
