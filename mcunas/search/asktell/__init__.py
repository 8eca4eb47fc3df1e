# SPDX-License-Identifier: Apache-2.0
"""Ask/tell searches: an Optuna study per search, networks evaluated anywhere, the same result on any number of workers.

    problem.py    Problem: genes, what they mean as a Genotype, exact prices, what is wanted
    fidelity.py   how closely a network is looked at; the form of an evaluator
    evaluate.py   the evaluator that trains; on_board.py: figures of the firmware
    workers.py    here, in processes, or on any concurrent.futures.Executor; what dies is run again
    storage.py    the study's file, or any Optuna storage by URL
    engine.py     Search: ask a generation, evaluate, tell it in order; the ledger and the front of a study
    study.py      a search's run as a study, and back

A method is an Optuna sampler:

    with opened(out, fingerprint, problem.directions, url) as study, Workers(jobs, executor) as workers:
        nets = Search(study, problem, sampler_of, evaluator, fidelity, seed, generation, workers).run(evaluations)
        best = front(nets, small=("cycles", "ram_bytes"), large=("accuracy",))
"""
