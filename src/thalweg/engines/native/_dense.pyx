# cython: language_level=3, boundscheck=False, wraparound=False
"""The thin binding of the C kernel: descriptions in, arrays filled, no arithmetic.

Callers (`thalweg.engines.native`) hand over arrays that were checked: contiguous, of the
right type and shape. What could make C read outside an array (row numbers, columns of a
sparse matrix) is checked here.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t
from libc.string cimport memcpy


cdef extern from "stdbool.h":
    ctypedef bint bool


cdef extern from "descriptions.h" nogil:
    ctypedef struct Layer:
        int64_t fan_in, units
        int activation, normalization, constraint
        double activation_constant, epsilon, momentum, limit
        int residual, owner
        bool transposed, frozen, no_warmup
        double dropout
        uint32_t threshold
        double rate
        int64_t weights, bias, scale, shift, mean, variance

    ctypedef struct Spec:
        int n_layers
        const Layer *layers
        double input_noise
        int64_t n_parameters, n_trained
        int loss
        double loss_constant, loss_scale
        bool loss_variant
        int rule
        double constants[4]
        bool variant
        double l1, l2, decay, clip_norm, clip_value
        bool penalty_by_batch, averaged
        int64_t accumulate, batch
        uint32_t seed
        int64_t first_step

    ctypedef struct Group:
        int64_t width, value, code

    ctypedef struct Rows:
        int64_t n_rows
        const void *X
        const int32_t *indices
        const int64_t *indptr
        const uint16_t *codes
        const Group *groups
        int64_t n_groups, n_values, n_codes
        const int32_t *classes
        const void *targets
        const void *weights

    ctypedef struct Progress:
        int64_t n_epochs, per_epoch, n_met, batch
        const int32_t *orders
        const double *rates
        const double *mixes
        double *loss
        double *gradient_norm
        double *update_ratio
        int64_t done
        double slice
        int64_t epoch_limit
        bool finite, stopped
        int64_t patience, count
        double tol, best
        int *cancel
        int workers
        double sum_loss, sum_rows, sum_norm


cdef extern from "kernel_table.h" nogil:
    ctypedef void (*BlasGemm)(char *, char *, int *, int *, int *, void *, void *,
                              int *, void *, int *, void *, void *, int *) noexcept nogil

    ctypedef struct Kernel:
        void *(*create_training)(const Spec *, const void *, const Rows *,
                                 BlasGemm) noexcept nogil
        void *(*create_objective)(const Spec *, const Rows *, BlasGemm) noexcept nogil
        void (*destroy)(void *) noexcept nogil
        void (*advance)(void *, Progress *) noexcept nogil
        void (*adapt)(void *, double, const double *) noexcept nogil
        void (*copy_parameters)(void *, void *) noexcept nogil
        void *(*stepped_parameters)(void *, void **) noexcept nogil
        void *(*optimizer_memory)(void *, int64_t *, int64_t **,
                                  int64_t **) noexcept nogil
        int (*predict)(const Spec *, const void *, const Rows *, void **, int64_t,
                       BlasGemm, int) noexcept nogil
        double (*evaluate_objective)(void *, const void *, void *, int) noexcept nogil
        void (*set_running_statistics)(void *, void *) noexcept nogil
        int (*row_losses)(const Spec *, const void *, const Rows *,
                          void *) noexcept nogil
        int (*workers_worth_using)(const Spec *, int64_t, int) noexcept nogil
        bool (*wants_blas)(const Spec *, int64_t) noexcept nogil
        void (*evaluate_elementary)(int, int64_t, const void *, void *) noexcept nogil
        const char *level

    const Kernel *choose_kernel(bool is_double, const char *level)


cdef extern from "threefry.h" nogil:
    ctypedef struct Stream:
        uint32_t seed, step

    void threefry_words(Stream, uint32_t, uint32_t, uint32_t *, uint32_t *)


cdef BlasGemm _gemms[2]
cdef const Kernel *_kernels[2]


cdef void *_address(array) except? NULL:
    """Where an array's numbers begin; NULL for None."""
    if array is None:
        return NULL
    return <void *> <size_t> array.__array_interface__["data"][0]


def take_blas(capsule_s, capsule_d) -> None:
    """Take SciPy's two products, if their capsules' signatures are the known ones.

    Raises
    ------
    ValueError
        For another signature; the kernel then uses its own loops throughout.
    """
    for index, (capsule, letter) in enumerate(((capsule_s, "s"), (capsule_d, "d"))):
        number = f"__pyx_t_5scipy_6linalg_11cython_blas_{letter} *"
        expected = ", ".join(
            ["char *"] * 2 + ["int *"] * 3 + [number] * 2 + ["int *", number, "int *"]
            + [number] * 2 + ["int *"]
        )
        name = PyCapsule_GetName(capsule)
        if name.decode() != f"void ({expected})":
            raise ValueError(f"SciPy's gemm has another signature: {name.decode()}")
        _gemms[index] = <BlasGemm> PyCapsule_GetPointer(capsule, name)


def use_level(level=None) -> str:
    """Choose the instruction set by name (None: the best there is); return its name."""
    cdef const char *name = NULL
    cdef const Kernel *found
    encoded = None if level is None else level.encode()
    if encoded is not None:
        name = encoded
    for index in range(2):
        found = choose_kernel(index == 1, name)
        if found == NULL:
            raise ValueError(f"this build or processor has no level {level!r}.")
        _kernels[index] = found
    return _kernels[0].level.decode()


use_level()


cdef class Description:
    """A network and a plan as the kernel reads them.

    Parameters
    ----------
    layers : list of dict
        Fields of the C struct `Layer`.
    numbers : dict
        Fields of the C struct `Spec`.
    is_double : bool
    """

    cdef Spec spec
    cdef Layer *layers
    cdef int index

    def __cinit__(self, list layers, dict numbers, bint is_double):
        cdef Layer *layer
        cdef Spec *spec = &self.spec
        self.index = is_double
        self.layers = <Layer *> PyMem_Calloc(len(layers), sizeof(Layer))
        if self.layers == NULL:
            raise MemoryError
        for position, given in enumerate(layers):
            layer = &self.layers[position]
            (layer.fan_in, layer.units, layer.activation, layer.activation_constant,
             layer.normalization, layer.epsilon, layer.momentum, layer.constraint,
             layer.limit, layer.residual, layer.owner, layer.transposed, layer.frozen,
             layer.dropout, layer.threshold, layer.rate, layer.weights, layer.bias,
             layer.scale, layer.shift, layer.mean, layer.variance) = given
        for position, cold in enumerate(numbers.get("cold", ())):
            self.layers[position].no_warmup = cold
        spec.n_layers = len(layers)
        spec.layers = self.layers
        spec.input_noise = numbers["input_noise"]
        spec.n_parameters = numbers["n_parameters"]
        spec.n_trained = numbers["n_trained"]
        spec.loss = numbers["loss"]
        spec.loss_constant = numbers["loss_constant"]
        spec.loss_scale = numbers.get("loss_scale", 1.0)
        spec.loss_variant = numbers["loss_variant"]
        spec.rule = numbers["rule"]
        for position, value in enumerate(numbers["constants"]):
            spec.constants[position] = value
        spec.variant = numbers["variant"]
        spec.l1 = numbers["l1"]
        spec.l2 = numbers["l2"]
        spec.decay = numbers["decay"]
        spec.clip_norm = numbers["clip_norm"]
        spec.clip_value = numbers["clip_value"]
        spec.penalty_by_batch = numbers["penalty_by_batch"]
        spec.averaged = numbers["averaged"]
        spec.accumulate = numbers["accumulate"]
        spec.batch = numbers["batch"]
        spec.seed = numbers["seed"]
        spec.first_step = 0

    def __dealloc__(self):
        PyMem_Free(self.layers)

    def workers(self, int64_t n_rows, int available) -> int:
        """How many of the workers a step on so many rows is worth."""
        return _kernels[self.index].workers_worth_using(&self.spec, n_rows, available)

    def wants_blas(self, int64_t n_rows) -> bool:
        """Whether some product is left to BLAS."""
        return (_gemms[self.index] != NULL
                and _kernels[self.index].wants_blas(&self.spec, n_rows))


cdef class Table:
    """Rows as the kernel reads them; keeps the arrays alive."""

    cdef Rows rows
    cdef object arrays
    cdef readonly int64_t n_rows

    def __cinit__(self, X, y, weights, indices=None, indptr=None, int64_t width=0,
                  codes=None, groups=None):
        self.arrays = (X, y, weights, indices, indptr, codes, groups)
        self.n_rows = len(X) if indptr is None else len(indptr) - 1
        self.rows.n_rows = self.n_rows
        self.rows.X = _address(X)
        self.rows.indices = <const int32_t *> _address(indices)
        self.rows.indptr = <const int64_t *> _address(indptr)
        self.rows.weights = _address(weights)
        if y is not None and y.ndim == 1:
            self.rows.classes = <const int32_t *> _address(y)
        else:
            self.rows.targets = _address(y)
        if indptr is not None:
            self._check(width, len(indices))
        if groups is not None:
            self._keep_groups(X, codes, groups, width)

    def _keep_groups(self, X, codes, groups, int64_t width):
        values, coded = groups[:, 1], groups[:, 2]
        widths = groups[:, 0]
        plain = coded < 0
        ends = values + (widths * plain) + ~plain
        good = (widths.sum() == width and (widths > 0).all()
                and (~plain | (values >= 0)).all() and (values >= -1).all()
                and (ends <= X.shape[1]).all()
                and (coded >= -1).all() and (coded < codes.shape[1]).all()
                and len(codes) == len(X))
        if not good:
            raise ValueError("the compact rows are not valid: a group lies outside.")
        self.rows.codes = <const uint16_t *> _address(codes)
        self.rows.groups = <const Group *> _address(groups)
        self.rows.n_groups = len(groups)
        self.rows.n_values, self.rows.n_codes = X.shape[1], codes.shape[1]

    cdef _check(self, int64_t width, int64_t stored):
        cdef int64_t i
        cdef bint good = self.rows.indptr[0] == 0
        with nogil:
            for i in range(self.n_rows):
                good &= self.rows.indptr[i] <= self.rows.indptr[i + 1]
            good &= self.rows.indptr[self.n_rows] <= stored
            if good:
                for i in range(self.rows.indptr[self.n_rows]):
                    good &= 0 <= self.rows.indices[i] < width
        if not good:
            raise ValueError("the sparse matrix is not valid: its indices lie outside.")


# Python's own code, where interrupts arrive: Ctrl-C, and what `side_by_side` sends to
# other threads than the first.
_breathe = eval("lambda: None")


cdef class Training:
    """A network in training: owns the C session."""

    cdef void *session
    cdef const Kernel *kernel
    cdef Description description
    cdef Table table
    cdef int cancelled

    def __cinit__(self, Description description, Table table, parameters):
        cdef const void *start = _address(parameters)
        self.description, self.table = description, table
        self.kernel = _kernels[description.index]
        with nogil:
            self.session = self.kernel.create_training(
                &description.spec, start, &table.rows, _gemms[description.index]
            )
        if self.session == NULL:
            raise MemoryError("the network's buffers do not fit into memory.")

    def __dealloc__(self):
        if self.session != NULL:
            self.kernel.destroy(self.session)

    def cancel(self) -> None:
        """Make `advance`, running in another thread, return after its step."""
        self.cancelled = 1

    def advance(self, orders, rates, mixes, columns, counts, stop, int workers):
        """Train epochs; returns (epochs done, whether all was finite).

        `columns` is filled with losses, gradient norms and update ratios. `counts` is
        (n_epochs, per_epoch, n_met, batch), `stop` None or (patience, tol, best,
        waited).
        """
        cdef Progress p
        cdef int64_t i, last = self.table.n_rows
        cdef bint good = True
        p.n_epochs, p.per_epoch, p.n_met, p.batch = counts
        p.orders = <const int32_t *> _address(orders)
        p.rates = <const double *> _address(rates)
        p.mixes = <const double *> _address(mixes)
        p.loss = <double *> _address(columns)
        p.gradient_norm = p.loss + p.n_epochs
        p.update_ratio = p.gradient_norm + p.n_epochs
        p.done, p.slice, p.epoch_limit = 0, 0.05, p.n_epochs
        p.finite, p.stopped = True, False
        p.patience, p.tol, p.best, p.count = (-1, 0, 0, 0) if stop is None else stop
        p.sum_loss = p.sum_rows = p.sum_norm = 0
        self.cancelled = 0
        p.cancel = &self.cancelled
        p.workers = workers
        if orders is not None:
            with nogil:
                for i in range(p.n_epochs * p.n_met):
                    good &= <uint32_t> p.orders[i] < <uint32_t> last
        if not good:
            raise ValueError(f"orders has row numbers outside [0, {last}).")
        while p.done < p.n_epochs * p.per_epoch and p.finite and not p.stopped:
            with nogil:
                self.kernel.advance(self.session, &p)
            if self.cancelled:
                break
            _breathe()
        ended = -(-p.done // p.per_epoch)
        return ended, p.finite != 0

    def adapt(self, double decay, dropout) -> None:
        """Set the weight decay and each layer's dropout (float64) from here on."""
        self.kernel.adapt(self.session, decay, <const double *> _address(dropout))

    def copy(self, parameters) -> None:
        """Copy the parameters to a flat array: the averages, where there are any."""
        cdef void *to = _address(parameters)
        self.kernel.copy_parameters(self.session, to)

    def copy_stepped(self, parameters) -> None:
        """Copy the parameters that the steps change to a flat array, not averages."""
        cdef void *average
        cdef void *stepped = self.kernel.stepped_parameters(self.session, &average)
        memcpy(_address(parameters), stepped, parameters.nbytes)

    def set_average(self, trained) -> None:
        """Set the averages to a flat array of the trained parameters."""
        cdef void *average
        self.kernel.stepped_parameters(self.session, &average)
        if average != NULL:
            memcpy(average, _address(trained), trained.nbytes)

    def remember(self) -> tuple:
        """Steps done, updates done, and what the update rule remembers, as bytes."""
        cdef int64_t size
        cdef int64_t *steps
        cdef int64_t *updates
        cdef void *memory = self.kernel.optimizer_memory(
            self.session, &size, &steps, &updates
        )
        return steps[0], updates[0], (<char *> memory)[:size]

    def recall(self, int64_t steps_done, int64_t updates_done, bytes remembered) -> None:
        """Go on from what another session remembers."""
        cdef int64_t size
        cdef int64_t *steps
        cdef int64_t *updates
        cdef const char *given = remembered
        cdef void *memory = self.kernel.optimizer_memory(
            self.session, &size, &steps, &updates
        )
        if len(remembered) != size:
            raise ValueError(
                f"the state holds {len(remembered)} bytes where this network and "
                f"optimizer need {size}: it is another one's."
            )
        memcpy(memory, given, size)
        steps[0], updates[0] = steps_done, updates_done


cdef class Cost:
    """An objective on all rows: owns the C session."""

    cdef void *session
    cdef const Kernel *kernel
    cdef Description description
    cdef Table table

    def __cinit__(self, Description description, Table table):
        self.description, self.table = description, table
        self.kernel = _kernels[description.index]
        with nogil:
            self.session = self.kernel.create_objective(
                &description.spec, &table.rows, _gemms[description.index]
            )
        if self.session == NULL:
            raise MemoryError("the network's buffers do not fit into memory.")

    def __dealloc__(self):
        if self.session != NULL:
            self.kernel.destroy(self.session)

    def __call__(self, parameters, gradient, int workers) -> float:
        """Fill `gradient`, flat, unless it is None, and return the objective."""
        cdef const void *at = _address(parameters)
        cdef void *to = _address(gradient)
        cdef double value
        with nogil:
            value = self.kernel.evaluate_objective(self.session, at, to, workers)
        return value

    def settle(self, parameters) -> None:
        """Set the running statistics in `parameters`, flat, to those of all rows."""
        cdef void *at = _address(parameters)
        with nogil:
            self.kernel.set_running_statistics(self.session, at)


def outputs(Description description, Table table, parameters, list results,
            int64_t block, int workers) -> None:
    """Fill the arrays of `results`, one a layer, None where nothing is wanted."""
    cdef const void *at = _address(parameters)
    cdef int failed
    cdef void **to = <void **> PyMem_Calloc(len(results), sizeof(void *))
    if to == NULL:
        raise MemoryError
    try:
        for position, result in enumerate(results):
            to[position] = _address(result)
        with nogil:
            failed = _kernels[description.index].predict(
                &description.spec, at, &table.rows, to, block,
                _gemms[description.index], workers,
            )
    finally:
        PyMem_Free(to)
    if failed:
        raise MemoryError("the network's buffers do not fit into memory.")


def row_losses(Description description, Table table, given, result) -> None:
    """Fill `result` with the loss of each row of the outputs `given`."""
    cdef const void *at = _address(given)
    cdef void *to = _address(result)
    cdef int failed
    with nogil:
        failed = _kernels[description.index].row_losses(
            &description.spec, at, &table.rows, to
        )
    if failed:
        raise MemoryError("the outputs do not fit into memory.")


def elementary(str which, x, result) -> None:
    """Evaluate one of the kernel's own functions; for tests."""
    names = ("exp", "tanh", "log", "log1p", "expm1")
    cdef int number = names.index(which)
    cdef int64_t n = x.size
    cdef const void *at = _address(x)
    cdef void *to = _address(result)
    _kernels[x.dtype.itemsize == 8].evaluate_elementary(number, n, at, to)


def threefry(uint32_t key0, uint32_t key1, uint32_t first, uint32_t second) -> tuple:
    """Two words of the counter-based generator; for tests."""
    cdef Stream stream
    cdef uint32_t word0, word1
    stream.seed, stream.step = key0, key1
    threefry_words(stream, first, second, &word0, &word1)
    return word0, word1
