"""The colours of all figures; each has one meaning.

The first four are from Okabe and Ito (2008) and can be distinguished with every common form of colour blindness.  A
curve about one kind of examples has the colour of that kind: D(x) of real ones that of the data, D(G(z)) that of the
generator.
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
"""The difference of D from D*."""
REFERENCE = "#666666"
"""Reference lines, such as 1/2 or an upper bound."""

SAMPLES_ALPHA = 0.5
"""The opacity of histograms and areas, which overlap."""
