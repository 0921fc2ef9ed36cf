"""JupyterHub with a KVM guest for each user. It knows nothing of classes and labs, and can be used alone."""
