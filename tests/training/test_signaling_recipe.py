"""The recipe with message twins: trained, resumed, adapted, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip("pycrate_asn1dir.NGAP")
import gentwin
from gentwin.models import SignalingTokenizer, SignalingTwinForCausalLM
from gentwin.signaling.dialogue import Vocabulary
from gentwin.signaling.records import read_records
from gentwin.training.checkpoints import list_checkpoints
from gentwin.training.signaling import DialogueArguments, load_corpus
from gentwin.training.signaling.corpus import list_sources
from gentwin.training.signaling.profiles import varied
from tests.training.conftest import ROOT

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
}
CONFIG = {
    "captures": "captures",
    "subscribers": "captures/subscribers.yaml",
    "validation_captures": ["n2n4-rejects-suci"],
    "test_captures": ["held"],
    "syntheses": {"few": {"ues": 2, "duration": 8.0, "workload": {"arrivals": 10.0}}},
    "sequence_length": 256,
    "model_type": "gentwin_signaling",
    "model_config": SIZES,
    "max_steps": 4,
    "global_batch_size": 2,
    "learning_rate": 1e-2,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "save_steps": 2,
    "logging_steps": 1,
    "output_dir": "outputs/tiny",
    "use_cpu": True,
    "torch_threads": 1,
    "disable_tqdm": True,
}


NAMES = ("captures", "validation_captures", "test_captures", "syntheses")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two captures and `tiny.yaml`."""
    folder = tmp_path_factory.mktemp("signaling")
    (folder / "captures").mkdir()
    data = ROOT / "data/signaling"
    shutil.copy(data / "subscribers.yaml", folder / "captures")
    for name in ("n2n4-rejects-suci", "held"):
        shutil.copy(data / "n2n4-rejects-suci/n2n4-rejects-suci.pcap", folder / f"captures/{name}.pcap")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="module")
def trained(place: Path, recipe) -> Path:
    """The output folder of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        recipe.main(["--config", "tiny.yaml"])
    return place / "outputs/tiny"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return gentwin.from_pretrained(folder).state_dict()


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


def test_all_that_is_needed_is_in_the_folder(trained: Path, place: Path):
    twin = gentwin.from_pretrained(trained)
    assert isinstance(twin, SignalingTwinForCausalLM)
    twin.config.check_tokenizer(SignalingTokenizer.from_pretrained(trained))
    content = json.loads((trained / "metrics.json").read_text())
    assert 0 <= content["figures"]["test_exact_messages"] <= 1
    assert content["figures"]["test_loss"] == pytest.approx(content["metrics"]["test/all/loss"], abs=1e-5)
    assert content["run"]["splits"]["train"]["dialogues"] >= 2
    card = (trained / "README.md").read_text()
    for expected in (
        'CoreTwin.from_pretrained("outputs/tiny"',
        "gentwin talk outputs/tiny",
        "`few/0`",
        "`n2n4-rejects-suci`",
        "nas:RegistrationReject",
        content["run"]["fingerprint"],
    ):
        assert expected in card
    for file in ("README.md", "metrics.json", "training_arguments.yaml", "config.json"):
        text = (trained / file).read_text()
        assert str(place) not in text and str(ROOT) not in text


def test_resumed_equals_uninterrupted(trained: Path, here: Path, recipe):
    shutil.copytree(trained, here / "outputs/killed")
    for name in ("checkpoint-4", "plots"):
        shutil.rmtree(here / "outputs/killed" / name)
    for name in ("metrics.json", "model.safetensors"):
        (here / "outputs/killed" / name).unlink()
    words = ["--config", "tiny.yaml", "--output_dir", "outputs/killed", "--resume_from_checkpoint", "true"]
    recipe.main(words)
    assert [folder.name for folder in list_checkpoints("outputs/killed")] == ["checkpoint-2", "checkpoint-4"]
    resumed = weights(here / "outputs/killed")
    assert all(same(tensor, resumed[name]) for name, tensor in weights(trained).items())
    with pytest.raises(SystemExit, match=r"`hint_dropout` was 0\.1 and is 0\.5"):
        recipe.prepare_or_exit([*words, "--hint_dropout", "0.5"])


def test_lower_layers_stay_when_frozen(trained: Path, here: Path, recipe):
    words = ["--config", "tiny.yaml", "--model_config", "{}", "--init_from", "outputs/tiny", "--freeze_layers", "1"]
    recipe.main([*words, "--train_dialogues", "1", "--output_dir", "outputs/frozen"])
    before, after = weights(trained), weights(here / "outputs/frozen")
    for name, tensor in before.items():
        assert same(tensor, after[name]) == (".layers.0." in name), name


def test_adapters_are_merged(trained: Path, here: Path, recipe):
    pytest.importorskip("peft")
    words = ["--config", "tiny.yaml", "--model_config", "{}", "--init_from", "outputs/tiny", "--lora_rank", "2"]
    recipe.main([*words, "--output_dir", "outputs/adapted"])
    before, after = weights(trained), weights(here / "outputs/adapted")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert same(tensor, after[name]) == ("layernorm" in name), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--captures", "nowhere"), "`captures` must be a folder of captures, got 'nowhere'"),
        (("--subscribers", "nowhere.yaml"), "`subscribers` must be a file, got 'nowhere.yaml'"),
        (("--test_captures", "n2n4-rejects-suki"), "`test_captures` .* did you mean `n2n4-rejects-suci`"),
        (("--test_captures", "n2n4-rejects-suci"), "'n2n4-rejects-suci' is held out twice"),
        (("--syntheses.few.uess", "3"), "`syntheses.few`: .*`uess`"),
        (("--syntheses.few.runs", "0"), "`syntheses.few.runs` must be a number from 1, got 0"),
        (("--syntheses", "{few: 3}"), "`syntheses` must be mappings by name"),
        (("--captures", "none", "--syntheses", "{}"), "`captures` must be a folder if there are no `syntheses`"),
        (("--model_config.hiden_size", "3"), "did you mean `hidden_size`"),
        (("--model_config.vocab_size", "3"), "`model_config` must leave `vocab_size` to the tokenizer"),
        (("--model_type", "gentwin_signaling_lst"), "did you mean `gentwin_signaling_lstm`"),
        (("--sequence_length", "512"), "`sequence_length` must be at most `max_position_embeddings`"),
        (("--global_batch_size", "4000"), "`global_batch_size` must be at most"),
        (("--train_dialogues", "4000"), "`train_dialogues` must be at most"),
        (("--freeze_layers", "1"), "`freeze_layers` must be 0 without `init_from`"),
        (("--tokens", "octets"), "`tokens` must be messages or bytes, got 'octets'"),
        (("--hint_dropout", "2"), "`hint_dropout` must be from 0 to 1"),
        (("--horizons", "3"), "`--horizons` is not an argument"),
    ],
)
def test_bad_input_is_refused_before_training(trained: Path, here: Path, recipe, arguments, message):
    with pytest.raises(SystemExit, match=message):
        recipe.main(["--config", "tiny.yaml", "--output_dir", "outputs/refused", *arguments])
    assert not list(here.glob("outputs/refused/*"))


def test_the_recipes_can_be_read(monkeypatch: pytest.MonkeyPatch, recipe):
    monkeypatch.chdir(ROOT)
    for path in sorted((ROOT / "recipes").glob("signaling*.yaml")):
        words = ["--config", str(path), "--use_cpu", "true", "--bf16", "false"]
        kind = recipe.run_class(words, recipe.DEFAULT_CONFIG)
        data, *_ = recipe.parse_arguments(words, recipe.DEFAULT_CONFIG, "", kind.argument_classes)
        assert list_sources(data), path


def test_every_run_has_subscriptions_of_its_own_if_they_vary(here: Path):
    varied = {"few": {"ues": 2, "duration": 8.0, "profiles": "varied"}}
    first, second = list_sources(DialogueArguments(syntheses=varied))
    assert first.part == "train" and second.part == ""
    assert first.synthesis["profiles"] != second.synthesis["profiles"]
    assert first.synthesis == list_sources(DialogueArguments(syntheses=varied))[0].synthesis


def test_contexts_may_be_interleaved(here: Path):
    arguments = DialogueArguments(**{name: CONFIG[name] for name in NAMES})
    apart, together = (load_corpus(arguments, view=view, progress=False) for view in ("separate", "interleaved"))
    tokens = together.vocabulary.decode(together.test[0][0].tolist())
    assert len(together.test) < len(apart.test) and "<ctx:1>" in tokens


def test_values_of_back_off_vary_by_run():
    runs = [varied({"limits": {"sessions": 3, "back_off": "varied"}}, seed)["limits"] for seed in range(4)]
    assert len({run["back_off"] for run in runs}) > 2 and all(run["sessions"] == 3 for run in runs)


def test_a_transformer_of_bytes_is_trained_alike(trained: Path, here: Path, recipe):
    recipe.main(["--config", "tiny.yaml", "--tokens", "bytes", "--output_dir", "outputs/bytes"])
    corpus = load_corpus(DialogueArguments(**{name: CONFIG[name] for name in NAMES}, tokens="bytes"), progress=False)
    twin = gentwin.from_pretrained(here / "outputs/bytes")
    assert twin.config.vocab_size == len(corpus.vocabulary) <= len(Vocabulary.of_schema())
    assert (here / "outputs/bytes/byte_pairs.json").exists()
    words = corpus.vocabulary.decode(corpus.test.tokens.tolist())
    begin = words.index("<gnb>amf>") + 1
    octets = bytes.fromhex("".join(words[begin : words.index("<end>", begin)]))
    capture = here / "captures/held.pcap"
    with read_records(capture) as reader:
        assert octets in {record.raw for record in reader}
    assert max(len(word) for word in words if word[0] != "<") > 2
