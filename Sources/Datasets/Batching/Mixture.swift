/// Which examples an epoch visits when sources have weights: how often an epoch goes through each source.
///
/// A source of weight 2 is visited twice an epoch, one of weight 0.5 by halves that take turns, so that over the epochs
/// every example comes equally often. With all weights at 1 an epoch visits everything once, in order.
struct Mixture {
    /// Examples of each source; they lie one source after the other.
    let counts: [Int]
    let options: BatchOptions

    /// The indices of the examples of an epoch, by source and in order within each pass through it.
    func indices(epoch: Int) -> [Int32] {
        var visiting: [Int32] = []
        var start = 0
        for (source, count) in counts.enumerated() {
            append(stretch(of: source, epoch: epoch), of: source, start: start, count: count, to: &visiting)
            start += count
        }
        return visiting
    }

    /// The part of the endless row of passes through a source that an epoch visits.
    func stretch(of source: Int, epoch: Int) -> Range<Int> {
        let weight = source < options.weights.count ? options.weights[source] : 1
        precondition(weight > 0, "a source with the weight \(weight)")
        let share = weight * Double(counts[source])
        let first = Int((share * Double(epoch)).rounded())
        return first..<(counts[source] == 0 ? first : max(first + 1, Int((share * Double(epoch + 1)).rounded())))
    }

    /// Appends a stretch of the endless row of passes through a source.
    private func append(_ stretch: Range<Int>, of source: Int, start: Int, count: Int, to visiting: inout [Int32]) {
        var at = stretch.lowerBound
        while at < stretch.upperBound {
            let pass = at / count
            let end = min(stretch.upperBound, (pass + 1) * count)
            if end - at == count {
                visiting += Int32(start)..<Int32(start + count)
            } else {
                let order = order(ofPass: pass, through: source, count: count)
                visiting += order[(at - pass * count)..<(end - pass * count)].sorted().map { Int32(start) + $0 }
            }
            at = end
        }
    }

    /// The order in which a pass that is cut over epochs takes the examples.
    private func order(ofPass pass: Int, through source: Int, count: Int) -> [Int32] {
        var order = Array(0..<Int32(count))
        guard options.shuffle else { return order }
        // Streams below 2³² belong to the epochs themselves.
        var generator = SplitMix64(seed: options.seed, stream: UInt64(source + 1) << 32 | UInt64(pass))
        generator.shuffle(&order)
        return order
    }
}
