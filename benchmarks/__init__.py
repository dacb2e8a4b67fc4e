"""How fast thalweg trains, beside what people would use instead.

``python -m benchmarks`` measures design.md's workloads. Each contender (ours, one a
file in ``rivals/``) works in a process of its own, told by `worker` what to do:
its first fit is the cold time, imports included; afterwards the contenders take turns,
ours, rival, ours, rival, and medians of those rounds are the warm times. A workload is
a `Job`, plain data with the first weights and the order of rows in it, so that all do
the same work in the same dtype; one NumPy function judges what they come up with.
"""
