"""Bugs planted in `verify`: each changes one place of one module, and the test that is named must fail."""

# ruff: noqa: E501 - a bug is a line
from verify_mutation import Mutant

TAILS, EDGES = "test_tail_bounds.py", "test_decision_edges.py"


def planted(module, test_file):
    """Return a function that plants bugs in one module, caught by one file of tests."""
    return lambda name, old, new, test, file=test_file: Mutant(name, module, old, new, f"{file}::{test}")


divergences, variation, integrate, game_value = (
    planted(module, TAILS) for module in ("divergences", "variation", "integrate", "game_value")
)
base, bounded, tails, line, mixture, power_tails, radial = (
    planted(module, TAILS) for module in ("base", "bounded", "tails", "line", "mixture", "power_tails", "radial")
)
branch_bound, independent, fgan, generator, unconscious_statistician = (
    planted(module, TAILS)
    for module in ("branch_bound", "independent", "fgan", "generator", "unconscious_statistician")
)
balls, decide, differentiable, dirac, dual = (
    planted(module, EDGES) for module in ("balls", "decide", "differentiable", "dirac", "dual")
)
functions, float_checks, proof, simplex, statistics = (
    planted(module, EDGES) for module in ("functions", "float_checks", "proof", "simplex", "statistics")
)

likelihood = planted("likelihood", "test_verify_claims.py")

KL_TAIL = "between(-region.cost, region.cost)"
MOMENTS_Y2 = "c**2 * mass + 2 * c * s * at_cut + s**2 * (t * at_cut + mass)"

MUTANTS = [
    # What is left out of an integral.
    divergences("the tail of C is dropped", " - between(0, log2 * region.cost)", "", "TestCauchys::test_c"),
    divergences("half of C's tail", "between(0, log2 * region.cost)", "between(0, log2 * region.cost / 64)",
                "TestCauchys::test_c"),
    divergences("the tail of JSD is dropped", " + between(0, log2 * region.cost / 2)", "", "TestCauchys::test_jsd"),
    divergences("the tail of JSD has the other sign", "+ between(0, log2 * region.cost / 2)",
                "- between(0, log2 * region.cost / 2)", "TestCauchys::test_jsd"),
    divergences("the tail of KL is dropped", f" + {KL_TAIL}", "", "test_kl_with_its_tails"),
    divergences("the tail of KL is only negative", KL_TAIL, "between(-region.cost, 0)", "test_kl_with_its_tails"),
    divergences("nothing is left out", "return sum((region.cost for region in regions), arb(0)).abs_upper()",
                "return arb(0)", "test_left_out_is_at_least_the_mass_beyond_the_cuts"),
    variation("the tail of TV is dropped", "between(0, region.cost / 2) + ", "", "TestCauchys::test_tv"),
    integrate("only the cost of the first tail is counted", "(cost(tail) for tail in tails)", "(cost(tail) for tail in tails[:1])",
              "test_the_cost_includes_both_tails_of_a_piece"),
    integrate("only the cost of the last tail is counted", "(cost(tail) for tail in tails)", "(cost(tail) for tail in tails[1:])",
              "test_the_cost_includes_both_tails_of_a_piece"),
    integrate("tails are cut 2^10 times too early", "side * tail.cut if edge is None", "side * tail.cut / 1024 if edge is None",
              "TestCauchys::test_jsd"),
    integrate("the mass on the other side", "p.tail(tail.side * tail.cut, tail.side)", "p.tail(tail.cut, tail.side)",
              "TestCauchys::test_jsd"),
    game_value("the tail of the value is dropped", " + between(0, sign * region.cost)", "", "TestValue"),
    game_value("the tail of the value has the other sign", "between(0, sign * region.cost)",
          "between(0, -sign * region.cost)", "TestValue"),
    game_value("the tail of the value has no log 2", "s.const + arb(2).log()", "s.const", "TestValue"),
    game_value("the tail of one density is counted for both", "for d in positive), arb(0))", "for d in positive[:1]), arb(0))", "TestValue"),
    generator("the tail of the generator is dropped", " + between(-lost.upper(), lost.upper())", "",
              "test_both_gradients_of_the_generator_with_a_visible_tail"),
    unconscious_statistician("the tail over the noise is dropped", "total = between(-lost.upper(), lost.upper())", "total = arb(0)",
          "test_expectations_cut_in_the_mass"),
    unconscious_statistician("the tail by the law is dropped", "between(0, (law_tail(L) + near).upper())", "arb(0)",
          "test_expectations_cut_in_the_mass"),
    unconscious_statistician("the left tail by the law is 0", "total -= between(0, left_tail(L).upper())", "total -= arb(0)",
                             "test_the_left_tail_of_a_law_decides_against_a_closed_form"),
    unconscious_statistician("the left tail by the law has the other sign", "total -= between(0, left_tail(L).upper())",
                             "total += between(0, left_tail(L).upper())",
                             "test_the_left_tail_of_a_law_decides_against_a_closed_form"),
    unconscious_statistician("the bound on the left tail is 0", "return 2 * phi(L - 2)", "return arb(0)",
                             "test_the_left_tail_of_a_law_decides_against_a_closed_form"),
    unconscious_statistician("the tail by the density is dropped", "return total + between(-lost.upper(), lost.upper())", "return total",
          "test_an_expectation_by_a_density_cut_in_the_mass"),
    fgan("the tail of f-GAN costs nothing", "MAX_INTEGRAND_NEAR_0 = 8", "MAX_INTEGRAND_NEAR_0 = 0", "test_the_bound_of_an_f_divergence_cut_in_the_mass"),
    fgan("the tail of f-GAN is dropped", " + between(-lost.upper(), lost.upper())", "",
         "test_the_bound_of_an_f_divergence_cut_in_the_mass"),
    branch_bound("the tail of boxes is dropped", "return inner + between(-tail, tail)", "return inner",
          "test_the_hessian_over_a_box"),
    branch_bound("moments of the noise without their factor", "phi(R) + (k - 1) * moment", "phi(R) + moment",
          "test_the_moments_of_the_noise_beyond_a_cut"),
    branch_bound("an entry of the Hessian is off by 1e-3", "(w - 4) * w + 1)", "(w - 4) * w + 1.001)",
          "test_the_hessian_over_a_box"),
    branch_bound("an entry of the Hessian has a coefficient off by 1e-3", "(w - 4) * w + 1)", "(w - arb('4.001')) * w + 1)",
          "test_the_hessian_over_a_box"),
    branch_bound("the gradient has no sigma", "return by_mu * sigma * z if i else by_mu", "return by_mu * z if i else by_mu",
          "test_the_gradient_over_a_box"),
    independent("the checker leaves out nothing of C", "total + (arb(0).union(-lost) if", "total + (arb(0) if",
            "test_the_independent_checker_bounds_what_it_leaves_out"),
    independent("the checker leaves out nothing of JSD", "else arb(0).union(lost / 2))", "else arb(0))",
            "test_the_independent_checker_bounds_what_it_leaves_out"),
    independent("the checker stays far from its edges", "arb(5 * digits)", "arb(digits)",
            "test_the_independent_checker_comes_as_near_to_an_edge_as_its_digits"),

    # The densities' own bounds.
    line("Logistic's upper tail is its lower one", "return 1 / (1 + t.exp())", "return 1 / (1 + (-t).exp())",
         "test_tails_on_both_sides_are_those_of_scipy"),
    line("Logistic's upper tail is halved", "return 1 / (1 + t.exp())", "return 1 / (2 + t.exp())",
         "test_tails_on_both_sides_are_those_of_scipy"),
    line("Normal's tail is of another scale", "return (t / arb(2).sqrt()).erfc() / 2", "return t.erfc() / 2",
         "test_tails_on_both_sides_are_those_of_scipy"),
    line("a tail around 0", "self.upper(side * (x - ball(self.centre)) / ball", "self.upper(side * x / ball",
         "test_tails_on_both_sides_are_those_of_scipy"),
    power_tails("StudentT's tail has another exponent", ".beta_lower(nu / 2, arb(1) / 2", ".beta_lower(nu / 2, arb(1)",
         "test_tails_on_both_sides_are_those_of_scipy"),
    line("Normal's y^2 without its crossed term", MOMENTS_Y2, MOMENTS_Y2.replace("2 * c * s * at_cut + ", ""),
         "test_bounds_beyond_a_cut_in_the_mass"),
    line("Normal's y without phi", "linear = c * mass + s * at_cut", "linear = c * mass",
         "test_bounds_beyond_a_cut_in_the_mass"),
    line("exponential tails without the centre", "(-(R - tail.side * ball(self.centre)) / b)", "(-R / b)",
         "test_bounds_beyond_a_cut_in_the_mass"),
    power_tails("power tails without 1 / nu^2", "(R.log() / nu + 1 / nu**2)", "(R.log() / nu)",
         "test_bounds_beyond_a_cut_in_the_mass"),
    power_tails("power tails grow too slowly", "log=nu + 1)", "log=nu)", "test_bounds_beyond_a_cut_in_the_mass"),
    line("Normal grows at half its rate", "square=1 / (2 * s**2))", "square=1 / (4 * s**2))",
         "test_bounds_beyond_a_cut_in_the_mass"),
    line("Logistic's scale is off by 1e-12", "mu, scale, c = ball(self.mu), 1 / ball(self.b), log(ball(self.b))",
         "mu, scale, c = ball(self.mu), (1 + arb(10) ** -12) / ball(self.b), log(ball(self.b))",
         "test_a_log_density_has_mass_one", EDGES),
    bounded("Exponential's y^2 without its last term", " + 2 * R * mean + 2 * mean**2)", " + 2 * R * mean)",
            "test_bounds_beyond_a_cut_in_the_mass"),
    bounded("Beta's tail of the other argument", "return 1 - mass if far else mass", "return mass",
            "test_tails_on_both_sides_are_those_of_scipy"),
    bounded("Beta's edge without its exponent", "log=abs(e - 1))", "log=arb(0))", "test_kl_with_its_tails"),
    radial("the radial tail's d/2 is d", "/ (2 * ball(self.sigma) ** 2), arb(self.d) / 2\n        above",
           "/ (2 * ball(self.sigma) ** 2), arb(self.d)\n        above", "test_tails_on_both_sides_are_those_of_scipy"),
    radial("radial moments without their scale", "m = [scale**k * z", "m = [z", "test_bounds_beyond_a_cut_in_the_mass"),
    radial("radial moments of k", "(half + arb(k) / 2)", "(half + arb(k) / 4)", "test_bounds_beyond_a_cut_in_the_mass"),
    tails("power moments without 1 / exponent", "Moments(power / exponent,", "Moments(power,",
         "test_power_moments_are_the_integrals"),
    tails("power moments without 1 / exponent^2", " + 1 / exponent**2)", ")", "test_power_moments_are_the_integrals"),
    tails("an expectation forgets the squares", "        (growth.square, moments.square),\n", "",
         "test_kl_with_its_tails"),
    mixture("the fastest component", "best = min(bounds", "best = max(bounds",
            "test_the_slowest_component_bounds_a_mixture"),
    mixture("a mixture's tail is its first component's", "arb(0))\n\n    def tail_start", "arb(0)) / 2\n\n    def tail_start",
            "test_tails_on_both_sides_are_those_of_scipy"),

    # Decisions.
    decide("zero without the width", "Verdict.PROVED if x.rad() <= radius else Verdict.UNDECIDED", "Verdict.PROVED",
           "test_zero"),
    decide("zero, when narrower than its tolerance", "x.rad() <= radius", "x.rad() < radius", "test_zero"),
    decide("zero, without excluding", "if not x.contains(0):", "if x.contains(1):", "test_zero"),
    decide("a wide ball is refuted", "REFUTED if x <= 0 else Verdict.UNDECIDED", "REFUTED", "test_signs"),
    decide("0 is positive", "if x > 0:", "if x >= 0:", "test_signs"),
    decide("0 is negative", "if x >= 0:", "if x > 0:", "test_signs"),
    decide("nothing proves everything", "PROVED if seen == {Verdict.PROVED} else", "PROVED if seen <= {Verdict.PROVED} else",
           "test_the_conjunction"),
    decide("undecided is a pass", "if Verdict.REFUTED in seen:\n        return Verdict.REFUTED\n    return Verdict.PROVED if seen == {Verdict.PROVED}",
           "if Verdict.REFUTED in seen:\n        return Verdict.REFUTED\n    return Verdict.PROVED if Verdict.PROVED in seen", "test_the_conjunction"),
    proof("a tolerance from the other side", "prove_nonnegative(ball(exact(\"tolerance\", tolerance)) - x)",
          "prove_nonnegative(x - ball(exact(\"tolerance\", tolerance)))", "test_at_most"),
    proof("positive is nonnegative", "return prove_positive(x)\n", "return prove_nonnegative(x)\n", "test_signs"),
    proof("an undecided fact is proved", "Verdict.UNDECIDED if fact is None else", "Verdict.PROVED if fact is None else",
          "test_what_a_proof_keeps"),
    proof("the smallest tail is kept", "not bound <= self.tail_bound.arb()", "not bound >= self.tail_bound.arb()",
          "test_what_a_proof_keeps"),
    proof("the narrowest radius is shown", "Enclosure.of(max(radii, key=float))", "Enclosure.of(min(radii, key=float))",
          "test_a_stored_check_is_decided_from_its_ball"),
    float_checks("an error is kept as its tolerance", "between(0, error.upper()) if passes else error", "between(0, 0)",
             "test_a_measured_error_at_its_tolerance"),
    integrate("half the digits suffice", "x.rad() <= power_of_ten(-digits):", "x.rad() <= power_of_ten(-digits // 2):",
              "test_tight_wants_all_digits", EDGES),
    integrate("any width suffices", "if x.is_finite() and x.rad() <= power_of_ten(-digits):", "if x.is_finite():",
              "test_tight_goes_on_after_a_ball_that_is_too_wide", EDGES),
    integrate("a cut at twice its budget", "if bound <= budget:", "if bound <= 2 * budget:",
              "test_a_cut_costs_at_most_its_budget_and_no_cut_is_said", EDGES),
    divergences("JSD is defined by C", "return _enclose(\"JSD\", p, q, digits, _jsd_atoms, _jsd_line)",
                "return (criterion(p, q, digits) + arb(4).log()) / 2", "test_the_integrals_of_c_and_jsd_are_their_own", EDGES),
    divergences("JSD is C's integrand", "return _enclose(\"JSD\", p, q, digits, _jsd_atoms, _jsd_line)",
                "return _enclose(\"JSD\", p, q, digits, _jsd_atoms, lambda p, q, d: (_criterion_line(p, q, d) + arb(4).log()) / 2)",
                "test_the_integrals_of_c_and_jsd_are_their_own", EDGES),
    functions("log ignores analytic", "x.log(analytic=analytic) if", "x.log() if",
              "test_functions_refuse_a_branch_cut_where_they_must_be_analytic"),
    functions("a sum of exponentials ignores analytic", "log(reduce(add, rest, 1), analytic)", "log(reduce(add, rest, 1))",
              "test_functions_refuse_a_branch_cut_where_they_must_be_analytic"),
    functions("softplus without its linear part", "return s + log(1 + (-s)", "return log(1 + (-s)",
              "test_softplus_on_both_sides_of_its_branch"),
    dual("a tie is decided", "if difference == 0 and not (isinstance(d, Dual) and varies(d.slope)):", "if difference == 0:",
         "test_the_sign_of_a_dual_is_never_guessed"),
    dual("a sign is guessed from the middle", "difference = arb(primal(d))", "difference = arb(primal(d)).mid()",
         "test_the_sign_of_a_dual_is_never_guessed"),
    dual("only the first slope varies", "slope.entries() if isinstance(slope, arb_mat)", "slope.entries()[:1] if isinstance(slope, arb_mat)",
         "test_the_sign_of_a_dual_is_never_guessed"),
    dual("tanh's slope is 1 - y", "self.slope * (1 - y * y)", "self.slope * (1 - y)",
         "test_the_slope_of_a_dual_is_the_derivative"),
    dual("a quotient without its second term", "(self.slope - other.slope * y) * (1 / other.value)", "self.slope * (1 / other.value)",
         "test_the_slope_of_a_dual_is_the_derivative"),
    differentiable("the tolerance of a tensor is 1e-7", "MAX_TENSOR_ERROR = \"1e-13\"", "MAX_TENSOR_ERROR = \"1e-7\"", "test_the_tolerance_of_a_tensor"),
    differentiable("the tolerance of a direction is 1e-9", "MAX_DIRECTION_ERROR = \"2e-15\"", "MAX_DIRECTION_ERROR = \"1e-9\"", "test_the_tolerance_of_a_direction"),
    differentiable("the nearest difference decides", "max(nonzero, key=lambda x: float(x.abs_lower()))", "min(nonzero, key=lambda x: float(x.abs_lower()))",
                   "test_the_worst_difference_decides"),
    differentiable("a difference that is not finite is passed over", "        if not x.is_finite():\n            return x\n    nonzero", "        pass\n    nonzero",
                   "test_the_worst_difference_decides"),
    statistics("a failure probability twice as large", "math.log(2 / alpha)", "math.log(1 / alpha)",
               "test_the_failure_probability_is_exactly_the_share"),
    statistics("a tenth of ALPHA for each assertion", "ALPHA_PER_ASSERTION = ALPHA / MAX_ASSERTIONS", "ALPHA_PER_ASSERTION = ALPHA / 10",
               "test_the_failure_probability_is_exactly_the_share"),
    statistics("only the upper distance", "max((steps[1:] - F).max(), (F - steps[:-1]).max())", "(steps[1:] - F).max()",
               "test_a_mean_and_a_distribution_at_their_distance"),
    dirac("the Jacobian's sign", "return (1 + h * psi**2 * slope, cross), (-cross,", "return (1 + h * psi**2 * slope, cross), (cross,",
          "test_the_jacobian_of_the_dirac_step_by_mpmath"),
    dirac("the Jacobian without its curvature", "cross = h * (sigma + psi * theta * slope)", "cross = h * sigma",
          "test_the_jacobian_of_the_dirac_step_by_mpmath"),
    likelihood("the mean of S/N is (N - 2)/N sigma^2", "Fraction(n - 1, n) * variance", "Fraction(n - 2, n) * variance",
               "test_proved_with_every_control_refuted[Mle.unbiased]"),
    branch_bound("a cover forgets half", "for half in _halves(here)]", "for half in _halves(here)[:1]]",
          "test_a_cover_is_refuted_by_one_box_and_undecided_at_its_limit", EDGES),
    branch_bound("a cover at its limit is proved", "return Cover(Verdict.UNDECIDED, leaves", "return Cover(Verdict.PROVED, leaves",
          "test_a_cover_is_refuted_by_one_box_and_undecided_at_its_limit", EDGES),
]  # fmt: skip
