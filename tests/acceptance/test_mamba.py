import subprocess
import sys

PROGRAM = """
import numpy as np
from ml_assets.mamba import MambaConfig, MambaModel

model = MambaModel(MambaConfig())
assert not model.built and not model.weights
model.build((None, 60, 25))
assert model.built
names = [w.path for w in model.weights]
assert len(names) == 15 and all(np.isfinite(np.asarray(w.value)).all() for w in model.weights)

rng = np.random.default_rng(0)
X = rng.standard_normal((64, 60, 25)).astype("float32")
y = (rng.random(64) < 0.5).astype("float32")
before = [np.asarray(w.value).copy() for w in model.weights]
model.compile(optimizer="adam", loss="mse", jit_compile=False)
history = model.fit(X, y, epochs=1, verbose=0)
assert np.isfinite(history.history["loss"][0])
assert [w.path for w in model.weights] == names, "fit created a weight that build had not"
assert all((np.asarray(w.value) != b).any() for w, b in zip(model.weights, before)), "a weight is not trained"
assert model.predict(X, verbose=0).shape == (64, 1)
print("built properly")
"""


def test_mamba_model_build_proper():
    """R7: not built before, every weight created in `build`, no Keras warning in `fit`."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "built properly" in done.stdout
    assert "build()" not in done.stderr
    assert "UserWarning" not in done.stderr
