"""A Gradio app that counts per browser tab, in the ``State`` that Gradio keeps in its process."""

import os

import gradio as gr

with gr.Blocks() as app:
    count, shown = gr.State(0), gr.Number()
    gr.Button("Add").click(lambda number: (number + 1, number + 1), count, [count, shown], api_name="add")
    gr.Button("Show").click(lambda number: number, count, shown, api_name="total")

app.launch(server_name="127.0.0.1", server_port=int(os.environ["PORT"]), quiet=True)
