"""Small random models, golden vectors and the error measure that the tests of hiar share."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from golden_vectors import GOLDEN
from safetensors.torch import load_file

from hiar.cli.main import main
from hiar.model.config import WanConfig
from hiar.model.transformer import CausalWan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, torch.Tensor]]:
    """Tensors of one golden file."""
    return lambda name: load_file(GOLDEN / f"{name}.safetensors")


@pytest.fixture(scope="session")
def relative_l2() -> Callable[[torch.Tensor, torch.Tensor], float]:
    """|found - expected| / |expected| over the whole tensor, in float64."""

    def measure(found: torch.Tensor, expected: torch.Tensor) -> float:
        assert found.shape == expected.shape
        difference = (found.double() - expected.double()).norm()
        return float(difference / expected.double().norm())

    return measure


@pytest.fixture(scope="session")
def randomise() -> Callable[[torch.nn.Module, int], None]:
    """Fills weights so that every part of a model matters to its output.

    Matrices keep the variance; norms of q and k are well above 1, so that attention is sharp and
    a key that is wrong, missing or out of place shows.
    """

    def fill(model: torch.nn.Module, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in sorted(model.named_parameters()):
                values = torch.randn(parameter.shape, generator=generator)
                if "modulation" in name or "scale_shift" in name:
                    parameter.copy_(0.2 * values)
                elif parameter.ndim > 1:
                    parameter.copy_(values / parameter[0].numel() ** 0.5)
                elif "norm" in name and name.endswith("weight"):
                    parameter.copy_(1.7 + 0.15 * values)
                else:
                    parameter.copy_(0.05 * values)

    return fill


@pytest.fixture(scope="session")
def make_model(
    randomise: Callable[[torch.nn.Module, int], None],
) -> Callable[..., CausalWan]:
    """Builds a random model; sizes that are not given are small."""

    def make(*, seed: int = 0, **sizes: int) -> CausalWan:
        small = {
            "dim": 24, "ffn_dim": 48, "num_heads": 2, "num_layers": 2, "freq_dim": 16,
            "text_dim": 8, "text_len": 4, "in_channels": 4, "out_channels": 4,
        }  # fmt: skip
        model = CausalWan(WanConfig(**(small | sizes)))
        randomise(model, seed)
        return model.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def small_model(make_model: Callable[..., CausalWan]) -> CausalWan:
    """Two layers of two heads; four latent channels."""
    return make_model()


@pytest.fixture(scope="session")
def draw() -> Callable[..., torch.Tensor]:
    """Seeded unit normal noise."""

    def normal(*shape: int, seed: int = 0) -> torch.Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    return normal


@pytest.fixture(scope="session")
def hiar_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real command in a process of its own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hiar", *map(str, arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(
            argv,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.fixture
def one_thread() -> Iterator[None]:
    """This process computes as one with OMP_NUM_THREADS=1 does, bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hiar_main(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process, for speed: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def model_folder(
    make_model: Callable[..., CausalWan], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model of the full classes in diffusers' layout: random weights, tokens are words."""
    import json

    from diffusers import AutoencoderKLWan
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    from hiar.tiny.preset import TEXT_CONFIG, VAE_CONFIG

    folder = tmp_path_factory.mktemp("models") / "random-wan"
    transformer = make_model(text_dim=TEXT_CONFIG["d_model"], text_len=512, in_channels=16,
                             out_channels=16)  # fmt: skip
    sizes = transformer.config
    (folder / "transformer").mkdir(parents=True)
    (folder / "transformer" / "config.json").write_text(json.dumps({
        "_class_name": "WanTransformer3DModel",
        "num_attention_heads": sizes.num_heads, "attention_head_dim": sizes.head_dim,
        "ffn_dim": sizes.ffn_dim, "num_layers": sizes.num_layers, "freq_dim": sizes.freq_dim,
        "text_dim": sizes.text_dim, "in_channels": sizes.in_channels,
        "out_channels": sizes.out_channels, "eps": sizes.eps, "patch_size": sizes.patch_size,
        "image_dim": None,
    }))  # fmt: skip
    save_file(
        dict(transformer.state_dict()),
        folder / "transformer" / "diffusion_pytorch_model.safetensors",
    )
    torch.manual_seed(0)
    AutoencoderKLWan(**VAE_CONFIG).save_pretrained(folder / "vae")
    UMT5EncoderModel(UMT5Config(**TEXT_CONFIG)).save_pretrained(folder / "text_encoder")
    words = ["<pad>", "</s>", "<unk>", "a", "red", "blue", "disc", "ring"]
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "tokenizer")
    return folder


@pytest.fixture
def live_bytes() -> Callable[[], int]:
    """Memory of all tensors that the garbage collector can see, each storage counted once."""

    def measure() -> int:
        gc.collect()
        storages = {
            found.untyped_storage().data_ptr(): found.untyped_storage().nbytes()
            for found in gc.get_objects()
            if type(found) is torch.Tensor
        }
        return sum(storages.values())

    return measure
