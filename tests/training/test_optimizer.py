"""The optimiser is torch's own to the last bit, and does not import torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from distillery.training.optimizer import new_optimizer
from distillery.training.settings import Training

# Imported by name alone, as a training run does; a step, its state and a resumption of it.
_STEPS = """
import sys, torch
from distillery.training.optimizer import new_optimizer
from distillery.training.settings import Training
weight = torch.nn.Parameter(torch.ones(3))
optimizer = new_optimizer([weight], Training(), 0.1)
weight.sum().backward()
optimizer.step()
optimizer.zero_grad()
new_optimizer([weight], Training(), 0.1).load_state_dict(optimizer.state_dict())
weight.sum().backward()
new_optimizer([weight], Training(optimizer="adamw"), 0.1).step()
sys.exit("torch._dynamo" in sys.modules)
"""


def test_steps_and_resumption_are_those_of_torch() -> None:
    settings = Training(nesterov=True)
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))]
    theirs = [torch.nn.Parameter(each.detach().clone()) for each in ours]
    optimizer = new_optimizer(ours, settings, 0.1)
    reference = torch.optim.SGD(
        theirs, 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )
    for step in range(4):
        if step == 2:
            saved = optimizer.state_dict()
            optimizer = new_optimizer(ours, settings, 0.1)
            optimizer.load_state_dict(saved)
        for one, other in zip(ours, theirs, strict=True):
            one.grad, other.grad = one.detach().sin(), other.detach().sin()
        optimizer.step()
        reference.step()
        optimizer.zero_grad()
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert all(one.grad is None for one in ours)


def test_adamw_and_its_resumption_are_those_of_torch() -> None:
    settings = Training(optimizer="adamw", momentum=0.8, beta2=0.99, weight_decay=0.05)
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    optimizer = new_optimizer([ours], settings, 0.01)
    reference = torch.optim.AdamW([theirs], 0.01, betas=(0.8, 0.99), weight_decay=0.05, fused=True)
    for step in range(4):
        if step == 2:
            saved = optimizer.state_dict()
            optimizer = new_optimizer([ours], settings, 0.01)
            optimizer.load_state_dict(saved)
        ours.grad, theirs.grad = ours.detach().sin(), theirs.detach().sin()
        optimizer.step()
        reference.step()
    assert torch.equal(ours, theirs)


def test_the_compiler_is_not_imported() -> None:
    subprocess.run([sys.executable, "-c", _STEPS], check=True)
