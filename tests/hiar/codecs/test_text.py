"""Prompt cleaning, padding, release, and embeddings kept on disk."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from hiar.codecs.text import TextEncoder, clean_prompt, load_text_encoder, load_tokenizer
from hiar.codecs.text_cache import CachedTextEncoder
from hiar.errors import UsageError
from hiar.tiny.preset import TEXT_CONFIG, byte_tokenizer

pytestmark = pytest.mark.numerics

TEXT_LEN = 16
PROMPTS = ["a red disc", "a blue ring moves up and then some more", "x"]


@pytest.fixture(scope="module")
def model() -> UMT5EncoderModel:
    torch.manual_seed(0)
    return UMT5EncoderModel(UMT5Config(**TEXT_CONFIG)).eval()


@pytest.fixture
def encoder(model: UMT5EncoderModel) -> TextEncoder:
    return TextEncoder(model, byte_tokenizer(), TEXT_LEN)


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("  a \t red\n\ndisc ", "a red disc"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("&lt;b&gt;", "<b>"),
        ("caf\u00c3\u00a9", "café"),  # UTF-8 read as Latin-1, which ftfy repairs
        ("schön\u00a0blau\u3000!", "schön blau !"),
        ("", ""),
        ("🐈 on a 🛹", "🐈 on a 🛹"),
    ],
)
def test_cleaning(prompt: str, cleaned: str) -> None:
    assert clean_prompt(prompt) == cleaned


def test_the_padding_is_zero_and_the_text_is_the_models(
    encoder: TextEncoder, model: UMT5EncoderModel
) -> None:
    found = encoder.encode(PROMPTS)
    assert found.shape == (3, TEXT_LEN, TEXT_CONFIG["d_model"])
    for prompt, row in zip(PROMPTS, found, strict=True):
        # Bytes and the end-of-text token, alone: nothing of the padding is attended.
        ids = torch.tensor([[*(byte + 3 for byte in prompt.encode()), 1]])[:, :TEXT_LEN]
        if ids.shape[1] == TEXT_LEN:
            ids[0, -1] = 1  # the tokenizer cuts the text, not its end
        with torch.no_grad():
            alone = model(ids).last_hidden_state[0]
        own = ids.shape[1]
        torch.testing.assert_close(row[:own], alone, rtol=1e-4, atol=1e-5)
        assert not row[own:].any()
        assert row[:own].any(dim=-1).all()


def test_tokens_are_counted_before_the_cut(encoder: TextEncoder) -> None:
    assert encoder.num_tokens("abc") == 4
    assert encoder.num_tokens("x" * 100) == 101


def test_a_released_encoder_says_so_and_still_counts(model: UMT5EncoderModel) -> None:
    with TextEncoder(model, byte_tokenizer(), TEXT_LEN) as encoder:
        encoder.encode(["a"])
    with pytest.raises(UsageError, match="was released: load it again"):
        encoder.encode(["a"])
    assert encoder.num_tokens("abc") == 4


def test_what_is_not_finite_is_named(model: UMT5EncoderModel) -> None:
    broken = copy.deepcopy(model).half()
    with torch.no_grad():
        broken.encoder.final_layer_norm.weight.fill_(60000)
    encoder = TextEncoder(broken, byte_tokenizer(), TEXT_LEN)
    with pytest.raises(UsageError, match=r"NaN or infinite values in float16.*bfloat16"):
        encoder.encode(["a red disc"])


def test_no_prompts_is_named(encoder: TextEncoder) -> None:
    with pytest.raises(UsageError, match="0 prompts"):
        encoder.encode([])


def test_an_encoder_loads_from_its_folder(tmp_path: Path, model: UMT5EncoderModel) -> None:
    model.save_pretrained(tmp_path)
    loaded = load_text_encoder(tmp_path, TEXT_LEN, byte_tokenizer())
    expected = TextEncoder(model, byte_tokenizer(), TEXT_LEN).encode(PROMPTS)
    torch.testing.assert_close(loaded.encode(PROMPTS), expected)
    half = load_text_encoder(tmp_path, TEXT_LEN, byte_tokenizer(), dtype=torch.bfloat16)
    assert half.encode(PROMPTS).dtype == torch.bfloat16
    with pytest.raises(UsageError, match=r"no text encoder at .*none: it needs config\.json"):
        load_text_encoder(tmp_path / "none", TEXT_LEN, byte_tokenizer())


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    """google/umt5-xxl's kind: unigrams of text whose spaces are marks, </s> at the end."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁red", -1.0), ("▁disc", -1.5),
              ("▁", -3.0), ("s", -3.0)]  # fmt: skip
    core = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_a_tokenizer_loads_from_its_folder(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_folder)
    batch = tokenizer(["red discs"], padding="max_length", max_length=6, truncation=True)
    assert batch.input_ids == [[3, 4, 6, 1, 0, 0]]
    assert batch.attention_mask == [[1, 1, 1, 1, 0, 0]]
    with pytest.raises(UsageError, match=r"no tokenizer at .*tokenizer\.json or spiece\.model"):
        load_tokenizer(tokenizer_folder / "none")


def test_local_folders_behind_the_cache(
    tmp_path: Path, model: UMT5EncoderModel, tokenizer_folder: Path
) -> None:
    model.save_pretrained(tmp_path / "text_encoder")
    encoder = CachedTextEncoder(
        lambda: load_text_encoder(
            tmp_path / "text_encoder", TEXT_LEN, load_tokenizer(tokenizer_folder)
        ),
        tmp_path / "cache",
        identity="abc",
        text_len=TEXT_LEN,
    )
    found = encoder.encode(["red  disc"])
    with torch.no_grad():
        expected = model(torch.tensor([[3, 4, 1]])).last_hidden_state[0]
    torch.testing.assert_close(found[0, :3], expected, rtol=1e-4, atol=1e-5)
    assert not found[0, 3:].any()
    assert encoder.num_tokens("red discs") == 4


class Loads:
    """Counts how often the encoder is loaded and keeps what it was asked."""

    def __init__(self, model: UMT5EncoderModel) -> None:
        self.model, self.count = model, 0

    def __call__(self) -> TextEncoder:
        self.count += 1
        return TextEncoder(self.model, byte_tokenizer(), TEXT_LEN)


@pytest.fixture
def cached(model: UMT5EncoderModel, tmp_path: Path) -> Callable[..., CachedTextEncoder]:
    def make(loads: Loads, **change: object) -> CachedTextEncoder:
        settings = {"identity": "abc", "text_len": TEXT_LEN} | change
        return CachedTextEncoder(loads, tmp_path / "text", **settings)  # type: ignore[arg-type]

    return make


def test_a_prompt_is_encoded_once(
    cached: Callable[..., CachedTextEncoder], model: UMT5EncoderModel, encoder: TextEncoder
) -> None:
    first, second = Loads(model), Loads(model)
    with cached(first) as one:
        found = one.encode(PROMPTS)
        assert one.is_loaded
    assert not one.is_loaded
    torch.testing.assert_close(found, encoder.encode(PROMPTS), rtol=1e-4, atol=1e-5)
    again = cached(second)
    assert torch.equal(again.encode([PROMPTS[2], f"  {PROMPTS[0]}\n"]), found[[2, 0]])
    assert again.num_tokens(PROMPTS[1]) == len(PROMPTS[1]) + 1
    assert (first.count, second.count) == (1, 0)
    again.encode(["another"])
    again.encode(["yet another"])
    assert second.count == 1


def test_an_embedding_does_not_depend_on_its_batch(
    cached: Callable[..., CachedTextEncoder], model: UMT5EncoderModel, tmp_path: Path
) -> None:
    together = cached(Loads(model)).encode(PROMPTS)
    for path in (tmp_path / "text").rglob("*.safetensors"):
        path.unlink()
    alone = [cached(Loads(model)).encode([prompt])[0] for prompt in PROMPTS]
    assert torch.equal(together, torch.stack(alone))


@pytest.mark.parametrize(
    "change", [{"identity": "other"}, {"text_len": 8}, {"dtype": torch.bfloat16}]
)
def test_other_weights_lengths_and_dtypes_are_other_entries(
    cached: Callable[..., CachedTextEncoder], model: UMT5EncoderModel, change: dict[str, object]
) -> None:
    path = cached(Loads(model)).path("a")
    assert cached(Loads(model)).path(" a ") == path
    assert cached(Loads(model)).path("b") != path
    assert cached(Loads(model), **change).path("a") != path


@pytest.mark.parametrize("damage", [b"", b"\x10" + bytes(7) + b"not a header", None])
def test_a_damaged_entry_is_made_again(
    cached: Callable[..., CachedTextEncoder], model: UMT5EncoderModel, damage: bytes | None
) -> None:
    loads = Loads(model)
    encoder = cached(loads)
    expected = encoder.encode(["a"])
    path = encoder.path("a")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] if damage is None else damage)
    encoder.release()
    assert torch.equal(encoder.encode(["a"]), expected)
    assert loads.count == 2
    assert path.read_bytes() == whole
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_full_disk_is_said_once_and_costs_one_more_encoding(
    cached: Callable[..., CachedTextEncoder],
    model: UMT5EncoderModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = cached(Loads(model)).encode(["a", "b"])
    before = set((tmp_path / "text").rglob("*.*"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hiar.weights.tensor_files.save_file", fail)
    loads = Loads(model)
    encoder = cached(loads, identity="other")
    assert torch.equal(encoder.encode(["a", "b"]), expected)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for words in (str(encoder.folder), "No space left", "make room or set HIAR_WEIGHTS"):
        assert words in error
    encoder.release()
    assert encoder.num_tokens("b") == 2
    assert not encoder.is_loaded
    assert set(encoder.folder.rglob("*.*")) == before
