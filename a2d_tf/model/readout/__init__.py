"""The readout: labels of few videos, fitted in closed form to pooled features."""
