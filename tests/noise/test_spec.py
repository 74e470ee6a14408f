"""Noise as text: what is read, and the sentences for what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.noise import GENERATORS, NoiseSpec, parse
from thresher.noise.spec import IMBALANCES

seeds = st.none() | st.integers(0, 2**70)
specs = st.one_of(
    st.builds(
        NoiseSpec,
        st.sampled_from(sorted({*GENERATORS} - {*IMBALANCES, "feature", "transition"})),
        st.floats(0, 1, exclude_max=True),
        seeds,
    ),
    st.builds(NoiseSpec, st.sampled_from(IMBALANCES), st.floats(1, 1e300) | st.integers(1, 999).map(float), seeds),
    st.builds(NoiseSpec, st.just("feature"), st.floats(0, 1, exclude_max=True), seeds, st.none(), st.integers(1, 3)),
    st.builds(
        NoiseSpec,
        st.just("transition"),
        st.just(0.0),
        seeds,
        st.sampled_from(["T.npy", "a b/T.CSV", "C:\\x\\T.csv", "7:T.npy", "T.npy:1.csv"]),
    ),
)


@given(specs)
def test_parse_reads_what_a_spec_prints(spec: NoiseSpec) -> None:
    assert parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (" symmetric:0.4 ", NoiseSpec("symmetric", 0.4)),
        ("longtail:100", NoiseSpec("longtail", 100)),
        ("imbalance:2.5:7", NoiseSpec("imbalance", 2.5, 7)),
        ("feature:1:0.35", NoiseSpec("feature", 0.35, kind=1)),
        ("feature:3:0.7:12", NoiseSpec("feature", 0.7, 12, kind=3)),
        ("instance_normalised:0.4:1", NoiseSpec("instance_normalised", 0.4, 1)),
        ("transition:T.csv", NoiseSpec("transition", 0, None, "T.csv")),
        ("transition:T.csv:7", NoiseSpec("transition", 0, 7, "T.csv")),
    ],
)
def test_parse(text: str, spec: NoiseSpec) -> None:
    assert parse(text) == spec
    assert str(spec) == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symetric:0.4", "there is no noise 'symetric': did you mean symmetric"),
        ("xyz:0.4", "known are asymmetric, asymmetric_blocks, .*, transition, tridiagonal$"),
        ("", "there is no noise ''"),
        ("symmetric", "not NAME:RATE or NAME:RATE:SEED: write for example symmetric:0.4"),
        ("symmetric:0.4:1:2", "not NAME:RATE or NAME:RATE:SEED"),
        ("symmetric:40%", "has the rate '40%', which is no number: write 0.4 for 40 %"),
        ("symmetric:", "has the rate '', which is no number"),
        ("symmetric:40", r"noise rate 40.0 is outside \[0, 1\)"),
        ("symmetric:1", "is outside"),
        ("symmetric:-0.1", "is outside"),
        ("symmetric:nan", "is outside"),
        ("symmetric:0.4:x", "has the seed 'x': give a whole number"),
        ("symmetric:0.4:-1", "has the seed '-1'"),
        ("symmetric:0.4:", "has the seed ''"),
        ("symmetric:0.4:²", "has the seed"),
        ("longtail", "not NAME:FACTOR or NAME:FACTOR:SEED: write for example longtail:100"),
        ("imbalance:10:1:2", "not NAME:FACTOR or NAME:FACTOR:SEED: write for example imbalance:100"),
        ("longtail:0.01", "longtail 0.01 is not above 1: it is how many times"),
        ("imbalance:nan", "imbalance nan is not above 1"),
        ("imbalance:inf", "imbalance inf is not above 1"),
        ("longtail:x", "has the factor 'x', which is no number: write 100 for 100 times"),
        ("feature", "not feature:TYPE:RATE or feature:TYPE:RATE:SEED: write for example feature:1:0.35"),
        ("feature:0.35", "not feature:TYPE:RATE or"),
        ("feature:1:0.35:7:8", "not feature:TYPE:RATE or"),
        ("feature:0.35:7", "has the type '0.35': choose 1, 2 or 3, as in feature:1:0.35"),
        ("feature:4:0.35", "has the type '4': choose 1, 2 or 3"),
        ("feature:²:0.35", "has the type"),
        ("feature::0.35", "has the type ''"),
        ("feature:1:35%", "has the rate '35%', which is no number"),
        ("feature:1:35", r"noise rate 35.0 is outside \[0, 1\)"),
        ("feature:1:0.35:x", "has the seed 'x'"),
        ("instance:40", r"noise rate 40.0 is outside"),
        ("transition", "names no .npy or .csv file: write transition:FILE or transition:FILE:SEED"),
        ("transition:", "names no .npy or .csv file"),
        ("transition:0.4", "names no .npy or .csv file"),
        ("transition:T.txt:7", "names no .npy or .csv file"),
        ("transition:T.npy:x", "has the seed 'x'"),
        ("transition:T.npy:", "has the seed ''"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)
