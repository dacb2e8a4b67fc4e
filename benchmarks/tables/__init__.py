"""Public tables, what trains on them, and one fit in a process of its own.

`sources` names each table and where it comes from, and says whether settings may be
chosen by it or whether it only checks them. `methods` holds thalweg and what people
would use instead, one function each. `worker` fits one method on one split, alone in
its process and on one thread, and says how good it is and what it cost.
`python -m benchmarks.tabular` runs them and prints the results.
"""
