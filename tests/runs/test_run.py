from __future__ import annotations

from dataclasses import replace

from toy_runs import make_run

from distillery.runs.run import Run


def test_key_depends_on_settings_inputs_and_code_but_not_on_the_slug() -> None:
    base = make_run()
    assert base.key == make_run().key
    assert base.key != make_run(2).key
    assert base.key != make_run(code="d").key
    assert base.key != make_run(inputs={"a": f"toys/x-{'0' * 16}"}).key
    first = make_run(inputs={"a": f"toys/x-{'0' * 16}"})
    assert first.key == make_run(inputs={"a": f"other/name-{'0' * 16}"}).key


def test_what_a_run_asks_of_the_machine_is_no_part_of_it() -> None:
    run = make_run()
    asking = replace(run, gpu=False, exclusive=True)
    assert asking.key == run.key
    assert asking == run
    assert not {"gpu", "exclusive"} & asking.described().keys()
    restored = Run(**asking.as_dict())
    assert (restored.gpu, restored.exclusive, restored.key) == (False, True, run.key)
