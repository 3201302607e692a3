#include "bindings.h"

void define_history(py::module_& m, bool emulated) {
  m.def(
      "history_push",
      [emulated](py::array data, py::array pointer, py::array obs, Range range, bool advance) {
        const Ring ring = ring_of(data, pointer);
        require(obs.ndim() == 2 && obs.shape(0) == ring.batch && obs.shape(1) == ring.rest, "obs: [batch, rest]");
        require(obs.itemsize() == data.itemsize(), "obs: data's type");
        const HistoryPushArgs args{ring,       int32_t(data.itemsize()), data.mutable_data(), pointer_of(pointer),
                                   obs.data(), stride(obs, 0),           stride(obs, 1)};
        run(emulated, {history_push_cpu, history_push_cuda}, args, ring.rest, range);
        if (!emulated && advance) history_advance_cpu(args);
      },
      "data"_a, "pointer"_a, "obs"_a, py::kw_only(), "range"_a = py::none(), "advance"_a = true);

  m.def(
      "history_gather",
      [emulated](py::array data, py::array pointer, py::array time, py::array out, const TimeGrid& grid, Scalar type,
                 Scalar time_type, int64_t offset, bool clamp, double overbound, Range range) {
        const Ring ring = ring_of(data, pointer);
        require(time.ndim() == 3 && time.shape(0) == ring.batch && time.shape(1) == ring.rest,
                "time: [batch, rest, depth]");
        require(same_shape(time, out) && is_contiguous(out), "out: contiguous, time's shape");
        const HistoryGatherArgs args{type,
                                     time_type,
                                     ring,
                                     grid,
                                     data.data(),
                                     time.data(),
                                     time.shape(2),
                                     stride(time, 0),
                                     stride(time, 1),
                                     stride(time, 2),
                                     out.mutable_data(),
                                     offset,
                                     clamp,
                                     overbound};
        run(emulated, {history_gather_cpu, history_gather_cuda}, args, ring.rest * args.depth, range);
      },
      "data"_a, "pointer"_a, "time"_a, "out"_a, py::kw_only(), "grid"_a, "type"_a, "time_type"_a, "offset"_a = 1,
      "clamp"_a = true, "overbound"_a = 0.0, "range"_a = py::none());

  m.def(
      "delay_plan",
      [emulated](py::array delay, py::array slot, py::array factor, const TimeGrid& grid, Scalar type, int64_t slots,
                 bool clamp, Range range) {
        for (const py::array* a : {&delay, &slot, &factor})
          require(is_contiguous(*a) && a->size() == delay.size(), "delay_plan: contiguous arrays of one size");
        require(slot.itemsize() == 1 || slot.itemsize() == 4, "slot: uint8 or int32");
        require(factor.itemsize() == delay.itemsize(), "factor: delay's type");
        const DelayPlanArgs args{type,         slot.itemsize() == 1, delay.size(),         slots, grid, clamp,
                                 delay.data(), slot.mutable_data(),  factor.mutable_data()};
        run(emulated, {delay_plan_cpu, delay_plan_cuda}, args, args.count, range);
      },
      "delay"_a, "slot"_a, "factor"_a, py::kw_only(), "grid"_a, "type"_a, "slots"_a, "clamp"_a = false,
      "range"_a = py::none());
}
