# SPDX-License-Identifier: Apache-2.0
"""A Gaussian process over genes, by BoTorch: Matern-5/2 on ordered genes times a Hamming kernel on the others."""
from __future__ import annotations

import warnings

import numpy as np
import torch
from botorch.models import SingleTaskGP
from botorch.models.kernels.categorical import CategoricalKernel
from gpytorch.constraints import Interval
from gpytorch.kernels import Kernel, MaternKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood

STEPS, RATE = 50, 0.1                           # of Adam on the marginal likelihood
NOISE, LENGTH, SCALE = (5e-4, 0.3), (0.05, 4.0), (0.05, 20.0)


class Gaussian:
    """points (N, G): ordered genes in [0, 1], others by index. values (N,): to be large.

    lengthscales (G,): a long one is a gene that matters little.
    """

    def __init__(self, points: np.ndarray, values: np.ndarray, is_ordered: np.ndarray) -> None:
        x, y = torch.from_numpy(points).double(), torch.from_numpy(values).double()
        spread = float(y.std()) or 1.0
        y = ((y - y.median()) / spread)[:, None]
        parts: list[tuple[list[int], Kernel]] = []
        for kind, columns in ((MaternKernel, np.flatnonzero(is_ordered)), (CategoricalKernel, np.flatnonzero(~is_ordered))):
            if len(columns):
                more = {"nu": 2.5} if kind is MaternKernel else {}
                own = kind(ard_num_dims=len(columns), active_dims=tuple(columns.tolist()),
                           lengthscale_constraint=Interval(*LENGTH, initial_value=0.5), **more)
                parts.append((columns.tolist(), own))
        kernel = parts[0][1] if len(parts) == 1 else parts[0][1] * parts[1][1]
        likelihood = GaussianLikelihood(noise_constraint=Interval(*NOISE, initial_value=0.05))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")         # of values that are standardized by the median, on purpose
            self.model = SingleTaskGP(x, y, likelihood=likelihood, outcome_transform=None,
                                      covar_module=ScaleKernel(kernel, outputscale_constraint=Interval(
                                          *SCALE, initial_value=1.0)))
        self.model.train()
        likelihood = ExactMarginalLogLikelihood(self.model.likelihood, self.model)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = -likelihood(self.model(*self.model.train_inputs), self.model.train_targets)
            loss.backward()
            optimizer.step()
        self.model.eval()
        self.lengthscales = np.ones(len(is_ordered))
        for chosen, own in parts:
            self.lengthscales[chosen] = own.lengthscale.detach().numpy().ravel()

    def draw(self, points: np.ndarray, seed: int) -> np.ndarray:
        """(M,): one joint draw from the posterior at points (M, G)."""
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            posterior = self.model.posterior(torch.from_numpy(points).double())
            mean, root = posterior.mean[:, 0], posterior.distribution.lazy_covariance_matrix.cholesky().to_dense()
            noise = torch.randn(len(points), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            return (mean + root @ noise).numpy()
