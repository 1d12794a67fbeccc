"""Fused operators as one function over a batch: interpreted for reading, generated for speed."""

from pipeline.compiler.chain import Chain, compile_chain
from pipeline.compiler.runs import Run
from pipeline.compiler.stages import ChainContext, OperatorStage, Stage, StepStage

__all__ = ["Chain", "ChainContext", "OperatorStage", "Run", "Stage", "StepStage", "compile_chain"]
