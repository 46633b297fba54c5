extension Int {
    /// With commas between thousands: `10,560`.
    var grouped: String {
        let digits = Array(String(self))
        return String(digits.enumerated().flatMap { index, digit in
            index > 0 && (digits.count - index) % 3 == 0 ? [",", digit] : [digit]
        })
    }
}
