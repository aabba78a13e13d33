"""Other systems' outputs as `Prediction`: one file each; `formats` has the table."""
