"""Several calibrated cameras of one room: who is whom, where they are, whether calibration and clocks still hold."""
