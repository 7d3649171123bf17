"""What attacks have to know of shapes, and the attacks that keep to them: by moving, adding and dropping points."""
