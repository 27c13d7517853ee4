"""What every chart is drawn with: elements, colours, scales, figures, series, a frame."""
