"""Profiles the columns of data (``profile``) and infers their kind and role (``infer``)."""
