"""Networks that unroll a reconstruction: cascades of a learned regulariser and data consistency."""
