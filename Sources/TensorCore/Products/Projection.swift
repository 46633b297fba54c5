/// One of several products over the same activations: `y = x · weightᵀ` and what is added to it. Large, and handed from
/// function to function: therefore a class.
package final class Projection {
    let weight: Weight
    let update: WeightUpdate?
    let term: ThinTerm?
    let epilogue: Compute.Epilogue?

    /// - Parameters:
    ///   - weight: `[outputs, inputs]`.
    ///   - update: is added to the weight panel by panel.
    ///   - term: is added to the result.
    ///   - epilogue: adds what else belongs to the result (bias, residual stream) while a tile is in cache.
    package init(
        _ weight: Weight, adding update: WeightUpdate? = nil, plus term: ThinTerm? = nil,
        epilogue: Compute.Epilogue? = nil
    ) {
        (self.weight, self.update, self.term, self.epilogue) = (weight, update, term, epilogue)
    }
}
