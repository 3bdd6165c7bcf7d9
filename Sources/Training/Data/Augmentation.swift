/// How training images and their targets are varied; each part is off by default.
public struct Augmentation: Codable, Hashable, Sendable {
    /// Random crop after a black border of this many pixels on every side.
    public var cropPadding = 0
    /// Mirrors half of the images left and right.
    public var flip = false
    /// Side of a square, centred anywhere in the image, that is set to the mean.
    ///
    /// - Source: DeVries and Taylor, *Improved Regularization of Convolutional Neural Networks with Cutout*, 2017.
    public var cutout = 0
    /// Parameter of the Beta distribution by which two images and their targets are mixed; 0 for none.
    ///
    /// - Source: Zhang, Cisse, Dauphin, Lopez-Paz, *mixup: Beyond Empirical Risk Minimization*, ICLR 2018.
    public var mixup = 0.0
    /// Share of each target spread evenly over all classes.
    ///
    /// - Source: Szegedy et al., *Rethinking the Inception Architecture for Computer Vision*, CVPR 2016, section 7.
    public var labelSmoothing = 0.0

    public init(
        cropPadding: Int = 0, flip: Bool = false, cutout: Int = 0, mixup: Double = 0, labelSmoothing: Double = 0
    ) {
        precondition(cropPadding >= 0 && cutout >= 0 && mixup >= 0, "augmentations are non-negative")
        precondition((0..<1).contains(labelSmoothing), "label smoothing lies in [0, 1)")
        self.cropPadding = cropPadding
        self.flip = flip
        self.cutout = cutout
        self.mixup = mixup
        self.labelSmoothing = labelSmoothing
    }

    public static let none = Augmentation()
}
