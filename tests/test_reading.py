"""What the encoder can read of the texts is known before it is loaded, and said with the scripts that it can't."""

import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import tiny_bert
import tiny_hub_bert
from classifier.encoders.scripts import script
from classifier.errors import UserError
from classifier.hyperparameters import DEFAULT_ENCODER
from classifier.training import data, reading
from classifier.training.data import Tables
from classifier.training.reading import Reader
from jobs import ROOT, Job, check_data, rows

ENCODER = ROOT / "container" / "pretrained" / DEFAULT_ENCODER
needs_encoder = pytest.mark.skipif(not ENCODER.is_dir(), reason="needs the default encoder, which make setup brings")

READ, WARNED, REFUSED = "is read", "is warned of", "is refused"
ENGLISH = (
    "the brake pedal goes soft",
    "great product, works well",
    "the door does not close",
    "the engine light is on",
)
THAI = ("แย่มากพังเร็วไม่ชอบส่งช้า", "ดีมากใช้งานง่าย")
MULTILINGUAL = "provide a multilingual BERT on the channel `model`"
CNN = "set model_id to cnn or lstm"


@dataclass(frozen=True)
class Texts:
    """Texts that are trained on fifty times, and what becomes of them.

    Attributes:
        texts: Each in turn is a row.
        outcome: Whether they are read, warned of or refused.
        words: What is said of them.
    """

    texts: Sequence[str]
    outcome: str
    words: tuple[str, ...] = ()


def spelled(script: str, *texts: str) -> Texts:
    """Letters are known, and words are not."""
    return Texts(texts, WARNED, ("it has single letters only for ", script, MULTILINGUAL, CNN))


def unknown(script: str, *texts: str) -> Texts:
    """Nearly nothing is known."""
    return Texts(texts, REFUSED, ("it has no token for ", script, MULTILINGUAL, CNN))


TABLE: Mapping[str, Texts] = {
    "Thai": unknown("Thai 100.0%", *THAI),
    "Chinese": unknown("Chinese characters", "刹车有异响，车在寒冷的天气里无法启动", "服务态度很好，非常满意"),
    "Georgian": unknown("Georgian", "მუხრუჭები ჭრიალებს", "ძალიან კარგია"),
    "Amharic": unknown("Ethiopic", "ፍሬኑ ይጮኻል", "በጣም ጥሩ ነው"),
    "Khmer": unknown("Khmer", "ហ្វ្រាំងមានសំឡេង", "ល្អណាស់"),
    "Lao": unknown("Lao", "ເບຣກມີສຽງດັງ", "ດີຫຼາຍ"),
    "Burmese": unknown("Myanmar", "ဘရိတ်အသံမြည်နေသည်", "အရမ်းကောင်းတယ်"),
    "Telugu": unknown("Telugu", "బ్రేకులు శబ్దం చేస్తున్నాయి", "చాలా బాగుంది"),
    "Russian": spelled("Cyrillic", "Тормоза скрипят, машина не заводится", "Отличная машина, очень доволен"),
    "Arabic": spelled("Arabic", "المكابح تصدر صوتا والسيارة لا تعمل", "جيد جدا جدا"),
    "Hebrew": spelled("Hebrew", "הבלמים חורקים והמכונית לא נדלקת", "מוצר מצוין"),
    "Greek": spelled("Greek", "Τα φρένα τρίζουν και το αυτοκίνητο", "Πολύ καλό προϊόν"),
    "Korean": spelled("Hangul", "브레이크에서 소리가 나고 추운 날씨에", "정말 좋은 제품입니다"),
    "Hindi": spelled("Devanagari", "ब्रेक से आवाज़ आती है और गाड़ी", "बहुत अच्छा है"),
    "Japanese": spelled("Hiragana", "ブレーキから異音がして、寒い日にエンジンがかかりません", "とても良い製品です"),
    "half English, half Thai": Texts(
        (*ENGLISH, *THAI), WARNED, ("Thai", "of the rows are mostly unknown to it", MULTILINGUAL)
    ),
    "English names in Thai texts": Texts(("iPhone 14 battery แย่มาก", "iPhone 14 ดีมาก"), WARNED, ("Thai", MULTILINGUAL)),
    "one row in fifty of Thai": Texts((*ENGLISH * 12, THAI[0], ENGLISH[0]), WARNED, ("2.0% of the rows are mostly",)),
    "one row in ten of Russian": Texts((*ENGLISH * 2, "Тормоза скрипят, машина не заводится"), WARNED, ("Cyrillic",)),
    "emoji alone": Texts(("😀😍", "😡", "👍🏽 ❤️"), REFUSED, ("emoji and other signs", "learn signs as words")),
    "emoji in every text": Texts(
        ("great product 😀😍", "broken 😡"), WARNED, ("emoji and other signs", "learn signs as words")
    ),
    "letters of full width": Texts(("ｇｒｅａｔ", "ｂｒｏｋｅｎ"), REFUSED, ("full width", "as plain letters")),
    "letters of mathematics": Texts(("𝓰𝓻𝓮𝓪𝓽 𝓹𝓻𝓸𝓭𝓾𝓬𝓽", "𝓫𝓻𝓸𝓴𝓮𝓷"), REFUSED, ("bold or the like", "as plain letters")),
    "letters that were lost": Texts(
        ("d\ufffdj\ufffd vu, caf\ufffd", "tr\ufffds bien"), WARNED, ("U+FFFD", "export the texts again, in UTF-8")
    ),
    "characters for private use": Texts(
        ("great product \ue001\ue002", "broken \uf8ff"), WARNED, ("private-use characters", "in words")
    ),
    "encoded data": Texts(
        ("see " + "A1b2" * 40, "is " + "9zZ0" * 40), REFUSED, ("words of over 100 characters", "remove encoded data")
    ),
    "English": Texts(ENGLISH, READ),
    "German": Texts(("Die Bremsen quietschen schön laut", "Größe paßt übermütigen Käufern"), READ),
    "French": Texts(("Les freins grincent, ça m'inquiète", "Très bon produit, à l'œuvre dès Noël"), READ),
    "Vietnamese": Texts(("Phanh kêu to và xe không nổ máy khi trời lạnh", "Sản phẩm rất tốt"), READ),
    "Polish and Turkish": Texts(("Hamulce piszczą, źdźbło", "Frenler gıcırdıyor, çalışmıyor"), READ),
    "signs of science": Texts(("the α and β decay of µ particles at 5 Ω and 3 °C → ok", "x ≤ ½ ± π"), READ),
    "quotes, dashes and currencies": Texts(("“quoted” — it’s €5…", "‘so’ – £3 • ¥7 §2"), READ),
    "invisible characters": Texts(("soft\u00adhy\u200bphens\ufeff go", "no\u00a0break\u2009space\u200d"), READ),
    "addresses and numbers": Texts(("see https://a.example/b?c=" + "d" * 60, "0x" + "f" * 64 + " 12:30:59"), READ),
    "few emoji in long texts": Texts((" ".join(ENGLISH) + " 😀", " ".join(ENGLISH)), READ),
    "code": Texts(("if (a->b[i] != NULL) { return *p; }", "SELECT * FROM t WHERE x='y';"), READ),
    "empty texts": Texts(("", " ", *ENGLISH), READ),
}  # fmt: skip


def table_of(texts: Sequence[str], count: int = 50) -> pd.DataFrame:
    table = pd.DataFrame({"record": [texts[index % len(texts)] for index in range(count)]})
    return table.assign(label=[index % 2 for index in range(count)], file="training/data.csv", line=range(1, count + 1))


def reader_of(folder: Path) -> Reader:
    reader = reading.of_job(folder, None, DEFAULT_ENCODER)
    assert isinstance(reader, Reader), reader
    return reader


@needs_encoder
@pytest.mark.parametrize("kind", TABLE)
def test_texts_are_read_or_warned_of_or_refused_as_far_as_the_encoder_knows_their_script(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    case = TABLE[kind]
    tables, reader = Tables(table_of(case.texts)), reader_of(ENCODER)
    told = ""
    with caplog.at_level("INFO"):
        try:
            reading.check(tables, reader, 256, "auto")
        except UserError as error:
            told = str(error)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    outcome = REFUSED if told else WARNED if warned else READ
    assert outcome == case.outcome, (told, warned)
    assert [words for words in case.words if words not in told + "".join(warned)] == []
    assert not told or told.startswith("training/data.csv:")
    assert not any(text.strip() and text in told + caplog.text for text in case.texts)


@needs_encoder
def test_a_job_of_texts_that_can_not_be_read_ends_before_tensorflow_is_there(tmp_path: Path) -> None:
    job = Job.create(tmp_path / "ml")
    job.channel("training", rows([(index % 2, THAI[index % 2]) for index in range(50)]))
    program = (
        "import sys\n"
        "from classifier.errors import UserError\n"
        "from classifier.environment import Environment\n"
        "from classifier.training import program\n"
        "from classifier.training.interruption import Interruption\n"
        "try:\n"
        f"    program.train(Environment.from_environ({job.environ!r}), Interruption())\n"
        "except UserError as error:\n"
        "    print(error)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'tf_keras', 'keras')]\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "container", capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("training/data.csv:1: the encoder can't read the texts: it has no token for 100.0%")


@needs_encoder
def test_the_command_says_the_same_and_takes_the_encoder_that_the_job_will_have(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(rows([(index % 2, THAI[index % 2]) for index in range(50)]), encoding="utf-8")
    ended = check_data("check", path)
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"{path}:1: the encoder can't read the texts: it has no token for 100.0% of the")
    assert check_data("check", path, "--model-id", "cnn").returncode == 0
    own = tiny_bert.write(tmp_path / "own")
    with (own / "vocab.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"{sign}{letter}\n" for letter in sorted(set("".join(THAI))) for sign in ("", "##"))
    ended = check_data("check", path, "--model", own)
    assert ended.returncode == 0, ended.stdout
    assert (
        "warning: rows=training note=\"the encoder can't read all of the texts: it has single letters" in ended.stdout
    )
    assert check_data("check", path, "--model", shutil.make_archive(str(tmp_path / "a"), "gztar", own)).returncode == 2


@needs_encoder
def test_the_share_of_texts_that_is_cut_is_counted_in_tokens(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(rows([(index % 2, "unbelievableness " * (1 + index % 2)) for index in range(50)]), encoding="utf-8")
    lines = check_data("check", path, "--max-sequence-length", "5").stdout
    assert (
        "share_longer=0.5000 max_sequence_length=5 long_texts=windows examples=" in lines
    )  # of 2 or 4 tokens, and [CLS] and [SEP]
    assert "share_longer_at_least" not in lines


LIMITS: Mapping[str, tuple[int, int, str, str]] = {
    "more is asked for than the encoder reads, and texts are cut": (
        1024, 100, "truncate", "the encoder reads at most 64 tokens at once",
    ),
    "more is asked for, and no text is cut": (1024, 10, "truncate", ""),
    "more is asked for, and texts are read in windows": (1024, 100, "windows", ""),
    "more is asked for, and many texts are read in windows by default": (1024, 100, "auto", ""),
    "no more is asked for than it reads": (64, 100, "truncate", ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", LIMITS)
def test_a_limit_of_the_encoder_that_cuts_texts_is_warned_of_with_the_true_share(
    kind: str, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked, words, long_texts, told = LIMITS[kind]
    with caplog.at_level("INFO"):
        reading.check(Tables(table_of(["the " * words, "good"])), reader_of(tiny_encoder), asked, long_texts)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"share_longer={0.5 if words > 62 else 0:.4f} max_sequence_length=64" in caplog.text
    assert bool(warned) == bool(told)
    assert all(told in line and "50.0% of the texts are truncated" in line for line in warned)


def test_each_kind_of_encoder_gives_its_own_vocabulary(
    shared: Callable[[str], Path], tmp_path: Path, tiny_model: Path
) -> None:
    assert reader_of(tiny_model / "encoder").longest == 64
    hub = tmp_path / "hub"
    for name in ("bert_en_uncased_preprocess_3", "small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS"):
        shutil.copytree(shared(f"encoders/{name}"), hub / name)
    reader = reader_of(hub)
    assert reader.longest is None
    assert reader.tokenizer.encode("Unbelievable, THAT").tokens == ["[CLS]", "unbelievable", ",", "that", "[SEP]"]
    for folder, words in (
        (shared("encoders/gnews_word2vec_top1000_dim300"), "the encoder's vocabulary is not a text file"),
        (ROOT / "docs", "the encoder's vocabulary is not a text file"),
    ):
        assert reading.of_job(folder, None, DEFAULT_ENCODER) == words
    assert reading.of_job(None, None, "none-such") == "the encoder is not here"
    assert reading.of_job(None, None, "lstm") == "the vocabulary will be built from the texts"


def test_the_limit_of_a_savedmodel_is_warned_of_once_it_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job.create(tmp_path / "ml")
    tiny_hub_bert.write(job.base / "input" / "data" / "model")
    job.channel("training", rows([(index % 2, "the " * (100 if index % 4 == 0 else 5)) for index in range(40)]))
    settings = {"epochs": "1", "max_sequence_length": "1024", "train_only_top_layer": "True", "long_texts": "truncate"}
    job.configure(hyperparameters=settings)
    with caplog.at_level("INFO"):
        job.train()
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("max_sequence_length=1024, but the encoder reads" in line for line in warned), warned


def test_a_model_that_is_trained_further_keeps_its_words_which_are_looked_at(job: Job) -> None:
    job.configure(hyperparameters={"epochs": "1", "model_id": "cnn"})
    shutil.rmtree(job.base / "input" / "data" / "model")
    job.train()
    further = Job.create(job.base.with_name("further"))
    shutil.copytree(job.model, further.base / "input" / "data" / "model")
    further.channel("training", rows([(index % 2, THAI[index % 2]) for index in range(50)]))
    with pytest.raises(UserError, match=r"the encoder can't read the texts: it has no token for 100\.0%"):
        further.train()


@needs_encoder
def test_no_real_set_is_warned_of(shared: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    reader = reader_of(ENCODER)
    files = sorted(shared("data/text").glob("*/*/data.csv"))
    for path in [ROOT / "local_test" / "test_dir" / "input" / "data" / "training" / "data.csv", *files]:
        table = data.read({"training": path.parent}).training
        caplog.clear()
        with caplog.at_level("INFO"):
            reading.check(Tables(table), reader, 256, "auto")
        assert "unread_characters=0.0000 spelled_characters=0.0000" in caplog.text, path
        assert not [record for record in caplog.records if record.levelno > logging.INFO], path


@needs_encoder
def test_many_and_long_texts_take_seconds() -> None:
    started = time.process_time()
    coverage = reading.look(table_of([*ENGLISH, "word " * 100_000, "x" * 1_000_000], 3000), reader_of(ENCODER))
    assert time.process_time() - started < 30
    assert 1 <= len(coverage.rows) < 3000


SCRIPTS = {
    **dict.fromkeys("aéß", "Latin"), "ก": "Thai", "ж": "Cyrillic", **dict.fromkeys("ش٣", "Arabic"), "א": "Hebrew",
    "α": "Greek", "你": "Chinese characters", "ひ": "Hiragana", "カ": "Katakana", "한": "Hangul", "ა": "Georgian",
    **dict.fromkeys("अा", "Devanagari"), "ሀ": "Ethiopic", "𐰀": "Old Turkic",
    **dict.fromkeys("😀→°\u0301", "emoji and other signs"), "\ue000": "private-use characters",
    **dict.fromkeys("ｈ𝓱", "letters of full width, bold or the like"),
}  # fmt: skip


@pytest.mark.parametrize("character", SCRIPTS)
def test_a_characters_script_is_known_by_its_name(character: str) -> None:
    assert script(character) == SCRIPTS[character]
