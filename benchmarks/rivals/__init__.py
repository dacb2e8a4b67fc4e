"""What people use instead, one file each, written as a competent user would.

A file offers builders by a job's kind: ``train``, ``gradient``, ``predict``,
``search``. ``builder(job)`` prepares (converts the data, compiles lazily) and returns
the work: a function without arguments that does it once and returns its `Result`.
"""
