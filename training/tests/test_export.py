import hashlib
import json
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import dequantize

from specdiff_train.calibration import fitted
from specdiff_train.checkpoint import new_drafter
from specdiff_train.drafting import drafted_shards
from specdiff_train.evaluate import arms, passes
from specdiff_train.expected import expected
from specdiff_train.export import write_gguf
from specdiff_train.features import FeatureStore
from specdiff_train.import_gguf import read_vocabulary, read_weights
from specdiff_train.phrases import PhraseBook, Phrases


def test_what_drafts_bring_is_counted_over_passes(config, target, shards, store):
    drafter = new_drafter(config, target, shards, store.get(shards[0]).taps)
    drafted = drafted_shards({"": drafter}, shards, store, greedy=True)
    calibration = fitted(drafted, "", config.block)
    chances = expected(drafted, calibration, config.block)
    accepted = []
    for some in drafted_shards({"": drafter}, shards, store):
        for s in some.sequences:
            sequence = some.shard.sequences[s]
            propose = arms(some, s, {"": calibration})["joined"]
            if sequence.temperature == 0:
                ran = passes(sequence.tokens, sequence.prompt_tokens, len(sequence.tokens), propose)
                accepted += [one.accepted for one in ran if one.anchor + config.block < len(sequence.tokens)]
    wanted = [sum(n > place for n in accepted) / len(accepted) for place in range(config.block)]
    assert chances == pytest.approx([1000 * share for share in wanted], abs=0.51)
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0
    assert expected([], calibration, config.block) is None


def test_round_trip(config, target, shards, store):
    features = store.get(shards[0])
    drafter = new_drafter(config, target, shards, features.taps)
    counts = PhraseBook(config.work / "answers", config.phrase_tokens, config.phrase_entries).counts
    calibration = fitted(drafted_shards({"": drafter}, shards, store), "", config.block)
    write_gguf(config, target, drafter, config.output, config.recipe(), True, calibration, counts, [600, 300])
    reader = gguf.GGUFReader(config.output)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "dflash"
    assert fields["dflash.block_size"] == config.block
    assert fields["dflash.target_layers"] == list(config.taps)
    assert fields["dflash.sample_from_anchor"] is True
    assert fields["tokenizer.ggml.mask_token_id"] == drafter.mask_id
    assert fields["specdiff.slot_init"] == "lookup"
    assert fields["specdiff.target.sha256"] == hashlib.sha256(config.target.read_bytes()).hexdigest()
    assert fields["specdiff.survival.reached"] == [600, 300]
    assert len(counts.checks) > 10
    for name, values in vars(counts).items():
        assert fields[f"specdiff.phrases.{name}"] == values.tolist(), name
    book = FeatureStore(replace(config, phrases=config.output), target).book
    assert {name: values.tolist() for name, values in vars(book.counts).items()} == {
        name: values.tolist() for name, values in vars(counts).items()
    }
    table = Phrases(counts).table
    assert all(book.of(shard, one).table == table for shard in shards for one in shard.sequences)
    assert json.loads(fields["specdiff.recipe"])["block"] == config.block

    stored = {t.name: t for t in reader.tensors}
    assert stored["d2t"].tensor_type == gguf.GGMLQuantizationType.I64
    assert np.array_equal(stored["d2t"].data.view(np.int64), drafter.vocab.numpy())
    assert "token_embd.weight" not in stored

    def value(name):
        return torch.from_numpy(dequantize(stored[name].data, stored[name].tensor_type).copy())

    def close(a, b, tolerance=0.01):
        return float((a - b).norm() / b.norm()) < tolerance

    layer = drafter.layers[1]
    assert close(torch.cat([value(f"blk.1.attn_{n}.weight") for n in "qkv"]), layer.qkv.detach())
    assert close(
        torch.cat([value("blk.1.ffn_gate.weight"), value("blk.1.ffn_up.weight")]), layer.gate_up.detach(), 0.12
    )
    assert close(value("output.weight"), target.head[drafter.vocab])
    # The taps' scale is folded into fc: raw taps through the stored matrix give what scaled taps give in training.
    taps = torch.from_numpy(np.array(features.taps[:5], dtype=np.float32))
    scaled = taps.view(5, -1, target.width) / drafter.tap_scale[:, None]
    assert close(taps @ value("fc.weight").T, (scaled.view(5, -1) @ drafter.fc.T).detach(), 0.03)

    # Training can go on from the file.
    state = read_weights(config.output, drafter, config.taps)
    own = drafter.state_dict()
    assert set(state) == set(own) - {"vocab", "tap_scale"}
    for name, value in state.items():
        assert close(value, own[name], 0.12), name
    assert torch.equal(read_vocabulary(config.output), drafter.vocab)
    # With the tokens that it knows, whatever is asked for.
    started = new_drafter(replace(config, start=config.output, draft_vocab=64), target, shards, features.taps)
    assert torch.equal(started.vocab, drafter.vocab)
    assert close(started.fc.detach(), drafter.fc.detach(), 0.03)
    with pytest.raises(SystemExit, match="other layers or taps"):
        read_weights(config.output, drafter, (0, 1))
