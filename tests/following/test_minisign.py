"""What minisign signs is believed; nothing else is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import ConfigError, TransferError
from dnsbl.following.minisign import PublicKey
from dnsbl.keyed import Keyed
from dnsbl.zones.signing import Signer, digest_of

MESSAGE = b'{"serial":7}'


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(Keyed(tmp_path_factory.mktemp("key")))


def test_what_we_sign_is_believed(signer: Signer) -> None:
    text = signer.sign(digest_of(MESSAGE), "zone ip, serial 7")
    for key in (signer.public_key, signer.public_text):
        PublicKey(key).check(MESSAGE, text)


def test_another_message_key_or_comment_is_not(signer: Signer, tmp_path: Path) -> None:
    text = signer.sign(digest_of(MESSAGE), "zone ip, serial 7")
    with pytest.raises(TransferError, match="wrong"):
        PublicKey(signer.public_key).check(MESSAGE + b" ", text)
    with pytest.raises(TransferError, match="wrong"):
        PublicKey(signer.public_key).check(MESSAGE, text.replace("serial 7", "serial 8"))
    with pytest.raises(TransferError, match="another key"):
        PublicKey(Signer(Keyed(tmp_path)).public_key).check(MESSAGE, text)


@given(st.data())
def test_no_altered_signature_is(signer: Signer, data: st.DataObject) -> None:
    text = signer.sign(digest_of(MESSAGE), "c")
    place = data.draw(st.integers(text.index("\n"), len(text) - 2))
    altered = text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :]
    try:
        PublicKey(signer.public_key).check(MESSAGE, altered)
    except TransferError:
        return
    assert altered.split() == text.split()  # else white space is all that was changed


def test_a_signature_with_bits_behind_its_last_octet_is_none(signer: Signer) -> None:
    lines = signer.sign(digest_of(MESSAGE), "c").splitlines()
    assert lines[3].endswith("==")
    lines[3] = lines[3][:-3] + chr(ord(lines[3][-3]) + 1) + "=="  # the bits of `g` and `h` differ where nothing is
    with pytest.raises(TransferError, match="none of minisign"):
        PublicKey(signer.public_key).check(MESSAGE, "\n".join(lines))


@given(st.text(max_size=200))
def test_any_text_is_refused(signer: Signer, text: str) -> None:
    with pytest.raises(TransferError):
        PublicKey(signer.public_key).check(MESSAGE, text)
    with pytest.raises(ConfigError, match="public-key"):
        PublicKey(text)


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("minisign"), reason="minisign is not installed: apt-get install minisign")
def test_what_minisign_itself_signs_is_believed(tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(MESSAGE)
    for command in (["-G", "-W", "-p", "key.pub", "-s", "key.sec"], ["-S", "-s", "key.sec", "-m", "message"]):
        subprocess.run(["minisign", *command], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    PublicKey((tmp_path / "key.pub").read_text()).check(MESSAGE, (tmp_path / "message.minisig").read_text())
