"""What the columns of some data look like (``profile``) and what each is taken for (``infer``)."""
