"""The limit d -> infinity: ballistic (ODE) and diffusive (SDE) effective dynamics."""
