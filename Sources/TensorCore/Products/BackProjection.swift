/// The way of one layer's gradient back to its input: `dy · weight` and what is added to it. The ways of layers over the
/// same input are summed by one product. A class, because it is large and handed on often.
package final class BackProjection {
    /// `[rows, outputs]`.
    let dy: Tensor
    let weight: Weight
    let update: WeightUpdate?
    let term: ThinTerm?
    let epilogue: Compute.Epilogue?
    /// `dy` as tiles, if it lies so or another product has just packed it.
    let rows: TileRows?

    /// - Parameters:
    ///   - weight: `[outputs, inputs]`.
    ///   - update: is added to the weight panel by panel.
    ///   - term: is added to the result.
    ///   - epilogue: adds what else belongs to the result while a tile is in cache.
    package init(
        _ dy: Tensor, _ weight: Weight, adding update: WeightUpdate? = nil, plus term: ThinTerm? = nil,
        epilogue: Compute.Epilogue? = nil, on compute: Compute
    ) {
        precondition(dy.columns == weight.rows, "product of \(dy.shape) with [\(weight.rows), \(weight.columns)]")
        (self.dy, self.weight, self.update, self.term, self.epilogue) = (dy, weight, update, term, epilogue)
        rows = compute.tileRowsAtHand(dy)
    }
}
