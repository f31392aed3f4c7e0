"""A message twin behind sockets, as `serve-core` puts it there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import torch

from gentwin.models.signaling import SignalingTokenizer, SignalingTwinConfig, SignalingTwinForCausalLM
from gentwin.serving import CoreServer, EmulatedUpf, InProcessUserPlane, ServingConfiguration, TcpTransport, Watch
from gentwin.serving.cores import load_core
from gentwin.serving.talking import Talk
from tests.serving.stations import Client, eventually, initial_message, setup_request

pytest.importorskip("pycrate_asn1dir.NGAP")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twin that has learnt nothing: whatever it says, the core must go on."""
    torch.manual_seed(0)
    folder, tokenizer = tmp_path_factory.mktemp("twin"), SignalingTokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SignalingTwinConfig.for_tokenizer(tokenizer, **sizes, num_key_value_heads=2)
    SignalingTwinForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_twin_that_has_learnt_nothing_is_served(checkpoint: Path):
    configuration, events = ServingConfiguration(), []

    class Notes(Watch):
        def event(self, event):
            events.append(event)

    watch = Notes()
    core = load_core(str(checkpoint), configuration, listener=watch.event, seed=1)
    user_plane = InProcessUserPlane(EmulatedUpf(configuration.network, seed=1))
    server = CoreServer(core, TcpTransport("127.0.0.1", 0), user_plane, watch=watch)

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(server.run(started.set))
        await started.wait()
        client = await Client.connect(server.transport.address)
        client.send(initial_message())
        assert (await client.receive()).name == "ErrorIndication"
        client.send(setup_request())
        await eventually(lambda: any(event.kind == "heard" and event.peer for event in events))
        server.stop()
        await task

    asyncio.run(main())
    heard = [event.record.message.name for event in events if event.kind == "heard" and event.record]
    assert "NGSetupRequest" in heard and "InitialUEMessage" not in heard


def test_twin_that_has_learnt_nothing_can_be_talked_to(checkpoint: Path):
    configuration, problems = ServingConfiguration(), []
    core = load_core(str(checkpoint), configuration, seed=1)
    talk = Talk(core, configuration.network, configuration.subscribers, problem=problems.append)
    talk.set_up()
    talk.register()
    talk.settle(5.0)
    assert [record.message.name for record in talk.records].count("NGSetupRequest") == 1
    assert all("the core may not say" in problem for problem in problems)
