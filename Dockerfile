# cellseg in a container: no network at run time, no root.
#   docker build -t cellseg .
#   docker run --rm -v "$PWD:/data" cellseg segment image.jpg
# torch comes as its default build, which runs with and without a GPU. TORCH_OPTIONS are options of
# pip for it, such as an index that has builds for the CPU alone or for another CUDA.
FROM python:3.11-slim

ARG TORCH_OPTIONS=""
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

COPY . /src
RUN cd /src && TORCH_OPTIONS="$TORCH_OPTIONS" sh docker/install.sh && rm -rf /src

RUN useradd --create-home cellseg
USER cellseg
WORKDIR /data
ENTRYPOINT ["cellseg"]
CMD ["--help"]
